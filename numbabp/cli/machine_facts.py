"""What `numbabp info` tells of the machine and of what is installed."""

import platform
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy
import scipy
import sklearn

from .. import __version__
from ..compiler.caching import cache_folder
from ..devices import placement
from ..kernels.sequential import train_sgd
from ..planning.cpu_costs import Machine, settings_path, this_machine

VECTOR_EXTENSIONS = ("sse4.2", "avx", "avx2", "fma", "avx512f", "neon", "sve")


def facts() -> dict[str, Any]:
    """Versions, processor, threads, GPU, cache folder and where the planner's constants are from."""
    features = llvm.get_host_cpu_features()
    return {
        "numbabp": __version__,
        "python": platform.python_version(),
        "numba": numba.__version__,
        "llvm": ".".join(map(str, llvm.llvm_version_info)),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "platform": platform.platform(),
        "processor": llvm.get_host_cpu_name(),
        "vector extensions": [name for name in VECTOR_EXTENSIONS if features.get(name)],
        "threads": numba.config.NUMBA_NUM_THREADS,
        "gpu": placement.describe_gpu(),
        "planner's constants": "built in" if this_machine() == Machine() else str(settings_path()),
        "cache folder": cache_folder(train_sgd) or "none: kernels are compiled in every process",
    }
