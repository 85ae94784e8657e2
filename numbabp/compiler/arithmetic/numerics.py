"""How exact a network's arithmetic is: what `numerics` may be.

A kernel is lowered once for all of them. What tells them apart are functions such as
`strictness.is_strict`, constants in what is compiled: `asked` makes one.
"""

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core.typing.templates import infer, infer_global, make_intrinsic_template

FAST, STRICT, APPROXIMATE = "fast", "strict", "approximate"
NUMERICS = (FAST, STRICT, APPROXIMATE)


def asked(mark: str) -> Callable[[Callable[[], bool]], Callable[[], bool]]:
    """Let compiled code call a function that returns a bool: as a constant, found by its mark.

    The constant is what the function returns while it is compiled; by the mark, the name of an instruction,
    `numerics_cuda` makes another of it.
    """

    def known(function: Callable[[], bool]) -> Callable[[], bool]:
        def compiled(typingctx: Any) -> Any:
            def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                value = ir.Constant(ir.IntType(1), function())
                return builder.or_(value, value, name=mark)

            return types.boolean(), codegen

        if not numba.config.DISABLE_JIT:
            # not as an `intrinsic`, which could not be called where the simulator of GPUs runs Python
            template = make_intrinsic_template(function, compiled, function.__name__)
            infer(template)
            infer_global(function, types.Function(template))
        return function

    return known
