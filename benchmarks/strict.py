"""Digests of strict runs, compiled for several processors and with several numbers of threads.

    python benchmarks/strict.py            compare with those on record (strict.json)
    python benchmarks/strict.py --record   put them on record

A process for each processor, by NUMBA_CPU_NAME, trains each case of strict_cases.py alone and in a
population; the processor at hand must have the instructions of the one that code is compiled for.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RECORD = HERE / "strict.json"
PROCESSORS: dict[str, dict[str, str]] = {
    "this one": {},
    "generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+sse2"},
    "haswell": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi2"},
    "skylake-avx512": {"NUMBA_CPU_NAME": "skylake-avx512"},
    "znver4": {"NUMBA_CPU_NAME": "znver4"},
}
"""Variables of the environment by name; the last two need AVX-512."""
WITH_AVX512 = ("skylake-avx512", "znver4")
DIGITS = 16
"""Of a digest, on record."""


def recorded() -> dict[str, str]:
    """First digits of the digest of every case."""
    found: dict[str, str] = json.loads(RECORD.read_text())
    return found


def possible() -> list[str]:
    """Processors that code compiled for can run on this one."""
    import llvmlite.binding as llvm

    has = bool(llvm.get_host_cpu_features().get("avx512vbmi"))
    return [name for name in PROCESSORS if has or name not in WITH_AVX512]


def digests_on(processor: str, names: list[str], threads: int = 1, fast: bool = False) -> dict[str, Any]:
    """Digests of cases in a process whose code is compiled for a processor: alone, and in a population."""
    command = [sys.executable, "-m", "benchmarks.strict", "--print", *names]
    given = {**os.environ, **PROCESSORS[processor], "NUMBA_NUM_THREADS": "4"}
    if fast:
        command.append("--fast")
    done = subprocess.run(
        [*command, "--threads", str(threads)],
        env=given,
        cwd=HERE.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _digests(names: list[str], threads: int, numerics: str) -> dict[str, list[str]]:
    """In this process."""
    from benchmarks import strict_cases

    known, found = strict_cases.cases(), {}
    for name in names or known:
        case = known[name]
        digests = [strict_cases.digest(case, numerics)]
        if case.is_for_many and numerics == "strict":
            digests.append(strict_cases.digest_in_population(case, n_threads=threads))
        found[name] = [digest[:DIGITS] for digest in digests]
    return found


def main() -> int:
    """Compare, and say so."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="cases, by default all")
    parser.add_argument("--record", action="store_true", help="put this processor's digests on record")
    parser.add_argument("--print", action="store_true", help="print this process's digests as JSON")
    parser.add_argument("--threads", type=int, default=1, help="for populations")
    parser.add_argument("--fast", action="store_true", help='with numerics="fast" instead')
    given = parser.parse_args()
    if given.print:
        print(json.dumps(_digests(given.names, given.threads, "fast" if given.fast else "strict")))
        return 0
    if given.record:
        found = {name: digests[0] for name, digests in digests_on("this one", given.names).items()}
        RECORD.write_text(json.dumps(found, indent=1) + "\n")
        return 0
    wanted, differing = recorded(), 0
    for processor in possible():
        for threads in (1, 2, 4):
            found = digests_on(processor, given.names, threads)
            others = [name for name, digests in found.items() if {*digests} != {wanted[name]}]
            differing += len(others)
            what = f"others: {', '.join(others)}" if others else "as on record"
            print(f"{processor:15} {threads} threads: {len(found)} runs, {what}", flush=True)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
