"""What every kernel computes, to the last bit: digests of parameters and histories of hundreds of small runs.

    python benchmarks/fingerprint.py --output FILE [--commit COMMIT] [--only TEXT] [--no-gpu]
    python benchmarks/fingerprint.py --compare A B

Two files made on one machine, before a change and after it, tell which runs it changed: the exit status of
--compare is 1 if any digest differs or is missing on a side. Without --commit the package of this checkout is
taken as it lies; with it that commit is built first. Kernels for GPUs run in Numba's simulator, if numba-cuda
is installed. A run that fails has its error in place of a digest. The runs are in fingerprint_cases.py. Not
an asv suite.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import builds
from benchmarks.peers.machine import ONE_THREAD
from benchmarks.results import output_file, where_and_with, write_json

ON_CPU, SIMULATED = "cpu", "simulated GPU"
FAILED = "failed: "
DIGITS = 16


class FingerprintError(Exception):
    """Bad input or a run that ended early; the message says which and why, in one line."""


def digest_of(arrays):
    """Of the names, dtypes, shapes and bytes of arrays."""
    import numpy as np

    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        array = np.ascontiguousarray(array)
        if array.dtype.kind == "f":
            array = np.where(np.isnan(array), np.nan, array).astype(array.dtype)  # all NaN alike
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:DIGITS]


def fingerprint(case):
    """The digest of a run, or why it failed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few epochs
            return digest_of(case.run())
    except Exception as problem:
        return FAILED + " ".join(f"{type(problem).__name__}: {problem}".split())


def run_part(part, only, package_folder):
    """Print a line of JSON for every run of a part: the work of a child process."""
    sys.path.insert(0, str(package_folder))
    import numbabp
    from benchmarks import fingerprint_cases

    print(json.dumps({"package": numbabp.__file__}), flush=True)
    if part == SIMULATED:
        from benchmarks.on_gpu.simulator import quick_simulator

        cases, around = fingerprint_cases.simulated_cases(), quick_simulator()
    else:
        cases, around = fingerprint_cases.cases(), contextlib.nullcontext()
    with around:
        for case in cases:
            if only.lower() in case.name.lower():
                print(json.dumps({"name": case.name, "digest": fingerprint(case)}), flush=True)


def run_parts(parts, only, package_folder, tell):
    """(folder of the package, digest by name) of all parts, each in a process of its own, at once."""
    environment = {**os.environ, **ONE_THREAD}
    digests, packages, problems = {}, set(), []

    def read(part):
        simulate = {"NUMBA_ENABLE_CUDASIM": "1"} if part == SIMULATED else {}
        command = [sys.executable, str(Path(__file__).resolve()), "--part", part, "--only", only]
        command += ["--package", str(package_folder)]
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(
                command, env=environment | simulate, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as child,
        ):
            children.append(child)
            for line in child.stdout:
                found = json.loads(line)
                if "package" in found:
                    packages.add(Path(found["package"]).parent)
                else:
                    digests[found["name"]] = found["digest"]
                    tell(len(digests))
            if child.wait() != 0:
                errors.seek(0)
                problems.append(f"{part}: {(errors.read().strip().splitlines() or ['ended early'])[-1]}")

    children: list[subprocess.Popen] = []
    threads = [threading.Thread(target=read, args=(part,), daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        for child in children:
            child.kill()
        raise
    if problems:
        raise FingerprintError("; ".join(problems))
    return packages.pop(), dict(sorted(digests.items()))


def commit_of(package):
    """What a package's folder holds: a build's commit, a clone's, "... with changes", or None."""
    if len(package.parent.name) == 40:
        return package.parent.name
    with contextlib.suppress(OSError):
        git = ["git", "-C", str(package)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        if head.returncode == 0:
            status = [*git, "status", "--porcelain", "--", "."]
            changes = subprocess.run(status, capture_output=True, text=True).stdout
            return head.stdout.strip() + (" with changes" if changes else "")
    return None


def make(arguments):
    """Run all, and write the file; the exit status."""
    from rich.console import Console

    folder = builds.CHECKOUT
    if arguments.commit is not None:
        folder = builds.build(arguments.commit, arguments.builds, arguments.repository)
    parts = [ON_CPU]
    if importlib.util.find_spec("numba_cuda") is None:
        print("Without the simulated GPU: numba-cuda is not installed (the extra cuda13 or cuda12).")
    elif not arguments.no_gpu:
        parts.append(SIMULATED)
    console = Console(stderr=True)
    with console.status("Running") as status:
        package, digests = run_parts(
            parts, arguments.only, folder, lambda n: status.update(f"Running: {n} runs done")
        )
    if not digests:
        raise FingerprintError(
            f"--only {arguments.only!r} is in no run's name, such as 'network: sequential, ...'."
        )
    found = {"commit": commit_of(package), **where_and_with(), "digests": digests}
    write_json(arguments.output, found)
    failed = {name: digest for name, digest in digests.items() if digest.startswith(FAILED)}
    for name, digest in failed.items():
        print(f"{name}: {digest}")
    together = hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:DIGITS]
    print(f"{len(digests)} runs of {found['commit'] or package}, {len(failed)} failed, together {together}.")
    return int(bool(failed))


def read(path):
    """A file's content, checked."""
    try:
        found = json.loads(Path(path).read_text())
        digests = found["digests"]
        if not all(isinstance(text, str) for text in digests.values()):
            raise TypeError
    except OSError as problem:
        raise FingerprintError(f"{path}: {problem.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FingerprintError(f"{path} is no file that --output wrote.") from None
    return found


def compare(first, second):
    """Print what differs; the exit status."""
    a, b = read(first), read(second)
    for name in a.keys() & b.keys() - {"digests", "date", "commit"}:
        if a[name] != b[name]:
            print(f"Made with different {name}, which may change digests: {a[name]} and {b[name]}.")
    names = sorted(a["digests"].keys() | b["digests"].keys())
    n_different = 0
    for name in names:
        left, right = a["digests"].get(name, "missing"), b["digests"].get(name, "missing")
        if left != right:
            n_different += 1
            print(f"{name}: {left} and {right}")
    if not n_different:
        print(f"All {len(names)} digests are the same.")
        return 0
    print(f"{n_different} of {len(names)} differ.")
    return 1


def main(command_line=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--output", type=output_file, metavar="FILE", help="run, and write the digests there")
    what.add_argument("--compare", nargs=2, metavar=("A", "B"), help="tell what differs between two files")
    what.add_argument("--part", choices=(ON_CPU, SIMULATED), help=argparse.SUPPRESS)
    parser.add_argument("--package", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--commit", help="build this commit and run it (default: this checkout as it lies)")
    parser.add_argument(
        "--repository", type=Path, default=builds.CHECKOUT, metavar="FOLDER", help="the clone"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="runs whose name has this in it")
    parser.add_argument("--no-gpu", action="store_true", help="without the simulated GPU")
    parser.add_argument(
        "--builds", type=Path, default=builds.FOLDER, metavar="FOLDER", help="where builds are kept"
    )
    arguments = parser.parse_args(command_line)
    try:
        if arguments.part:
            run_part(arguments.part, arguments.only, arguments.package)
            return 0
        return compare(*arguments.compare) if arguments.compare else make(arguments)
    except (FingerprintError, builds.BuildError, OSError) as problem:
        print(f"fingerprint.py: {' '.join(str(problem).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fingerprint.py: interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
