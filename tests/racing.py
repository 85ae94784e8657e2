"""Two processes that compile two sizes of one kernel at once, held where that does the most harm.

Run as a program it is one of the two, and then whoever comes after both:
`python racing.py CACHE RANK ROUNDS`, with CACHE one of numbabp's ("cpu", "cuda") or Numba's own ("numbas").
It prints, as JSON, in how many rounds what was loaded afterwards was the kernel's own, nothing, or another's.
Before it reads a cache's files and before it writes one it prints "?" and waits for a line from its parent.
"""

import json
import sys
from collections import Counter
from types import SimpleNamespace

import numba
import numpy as np

CAPABILITY = (9, 0)


def turn():
    """Wait until the parent says so."""
    print("?", flush=True)
    sys.stdin.readline()


def on_the_cpu(factory):
    """A maker of kernels, and what size a kernel is of."""

    def make(n):
        def store(out):
            out[0] = n

        return factory(store)

    def size_of(compiled):
        out = np.zeros(1, np.int64)
        compiled(out)
        return int(out[0])

    return make, size_of


def own():
    from numbabp.compiler import caching, compiling

    hold(caching, "write_atomically")
    return on_the_cpu(compiling.kernel)


def numbas():
    """Numba's own cache, which this must catch: else it proves nothing."""
    from numba.core.caching import IndexDataCacheFile

    hold(IndexDataCacheFile, "_save_index")
    hold(IndexDataCacheFile, "_save_data")
    return on_the_cpu(numba.njit(cache=True))


def cuda():
    """GPU kernels, compiled for one that need not be there: their size shows in the PTX."""
    from numba.cuda import dispatcher
    from numba.cuda.cudadrv import devices

    from numbabp.compiler import caching
    from numbabp.compiler import cuda as compiling

    hold(caching, "write_atomically")
    device = SimpleNamespace(compute_capability=CAPABILITY, id=0)
    devices.get_context = lambda *_: SimpleNamespace(device=device)
    dispatcher.get_current_device = lambda: device
    dispatcher._Kernel.bind = lambda self: None  # loads it into the GPU
    compiling._pretended_device(CAPABILITY).__enter__()

    def make(n):
        def store(out):
            out[0] = n

        return compiling.kernel(store)

    def size_of(compiled):
        ptx = compiled.compile((numba.int64[::1],))._codelibrary.get_asm_str(CAPABILITY)
        sizes = {word.strip(";") for word in ptx.split() if word.strip(";").isdecimal()}
        return next(n for n in range(*SIZES) if str(n) in sizes)

    return make, size_of


SIZES = 10**6, 2 * 10**6


def hold(owner, name):
    """Let a function that writes wait for its turn."""
    write = getattr(owner, name)

    def held(*arguments, **options):
        turn()
        return write(*arguments, **options)

    setattr(owner, name, held)


def main(cache, rank, rounds):
    make, size_of = {"cpu": own, "cuda": cuda, "numbas": numbas}[cache]()
    found = Counter()
    for i in range(rounds):
        sizes = [SIZES[0] + 2 * i, SIZES[0] + 2 * i + 1]
        turn()
        assert size_of(make(sizes[rank])) == sizes[rank]
        turn()  # both are done
        for size in sizes:
            kernel = make(size)
            kernel._cache.save_overload = lambda *_: None  # nothing is written now
            loaded = size_of(kernel)
            hits = sum(kernel.stats.cache_hits.values())
            found["another's" if loaded != size else "its own" if hits else "none"] += 1
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
