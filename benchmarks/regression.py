"""Whether a commit is slower than another: both are built, and measured in turn.

    python benchmarks/regression.py [BASE [HEAD]] [--limit 1.15] [--processes 3] [--quick] [--only TEXT]
                                    [--json FILE] [--always]

BASE is the parent of HEAD, and HEAD is HEAD, unless said otherwise. A row is what one commit and the other
take to train a network or a population, or to start; its ratio is the median over the rounds, between its
quartiles. A row above the limit is measured again, in more new processes, and is a regression if it still is
above. The exit status is 1 if there is one, 0 if there is none or nothing to compare, and 2 for bad
input. Not an asv suite.
"""

import argparse
import contextlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks import builds
from benchmarks.builds import BuildError, NoParentError
from benchmarks.interleaved import BASE, HEAD, MeasuringError, Side, Started, Trained, measure, ratio
from benchmarks.results import output_file, where_and_with, write_json

QUICK = ("float32", "2-10-1, float64", "784-128-10, float64", "784-128-10 sequential, float64")
"""With --quick, of what is trained only what ends so: every kernel, and in float64 those of most use."""
AGAIN = 3
"""How many times as many processes measure a row above the limit again."""
STARTING = {
    "start-up: import numbabp, Network": ("", "import numbabp; numbabp.Network"),
    "start-up: first call, warm cache": (
        "import numpy as np, numbabp as nbp\nnet, X = nbp.Network((2, 10, 1), random_state=0), np.eye(2)",
        "net.fit(X, [0, 1], epochs=1)",
    ),
}
"""Rows of fresh interpreters: what is done before, and what is timed."""


def arguments_of(command_line):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "base", nargs="?", metavar="BASE", help="commit to compare with (default HEAD's parent)"
    )
    parser.add_argument(
        "head", nargs="?", default="HEAD", metavar="HEAD", help="commit to judge (default HEAD)"
    )
    parser.add_argument("--limit", type=_above_one, default=1.15, help="largest ratio allowed (default 1.15)")
    parser.add_argument(
        "--processes", type=_at_least_one, default=3, help="of each side at first (default 3)"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rows in float64, so less to compile")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name has this in it")
    parser.add_argument(
        "--json", type=output_file, metavar="FILE", help="write the samples and the verdicts there"
    )
    parser.add_argument("--always", action="store_true", help="also if the package is the same in both")
    parser.add_argument(
        "--repository", type=Path, default=builds.CHECKOUT, metavar="FOLDER", help="the clone"
    )
    parser.add_argument(
        "--builds", type=Path, default=builds.FOLDER, metavar="FOLDER", help="where builds are kept"
    )
    return parser.parse_args(command_line)


def _above_one(text):
    value = float(text)
    if not 1 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 1, got {text}")
    return value


def _at_least_one(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


def main(command_line=None):
    arguments = arguments_of(command_line)
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    try:
        return compare(arguments, console)
    except NoParentError as problem:
        console.print(escape(f"{problem} There is nothing to compare with."))
        return 0
    except (BuildError, MeasuringError, OSError) as problem:
        print(f"regression.py: {' '.join(str(problem).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("regression.py: interrupted.", file=sys.stderr)
        return 130


def compare(arguments, console):
    """Build, measure, judge and report; the exit status."""
    started = time.perf_counter()
    head = builds.find_commit(arguments.head, arguments.repository)
    base = builds.find_commit(arguments.base or f"{arguments.head}~1", arguments.repository)
    if not arguments.always and builds.is_package_the_same(base, head, arguments.repository):
        console.print(f"Nothing under numbabp/ differs between {base[:9]} and {head[:9]}.")
        return 0
    console.print(f"Building {base[:9]} (base) and {head[:9]} (head).")
    with contextlib.ExitStack() as stack:
        sides = {}
        for name, commit in ((BASE, base), (HEAD, head)):
            build = builds.build(commit, arguments.builds, arguments.repository)
            cache = arguments.builds.resolve() / "numba" / f"{commit[:12]}-{name}"
            sides[name] = Side(name, build, cache)
            stack.callback(sides[name].close)
        rows = rows_for(sides, arguments)
        console.print(f"Compiling what {len(rows)} rows need, which only the first time takes long.")
        compile_all(rows, sides)
        first_look(rows, sides, arguments.processes, console)
        suspects = [row for row in rows if not row.missing and ratio(row.rounds)[0] > arguments.limit]
        if suspects:
            look_again(suspects, sides, AGAIN * arguments.processes, arguments.limit, console)
    verdicts = {row.name: verdict(row, arguments.limit) for row in rows}
    console.print(table_of(rows, verdicts))
    seconds = time.perf_counter() - started
    if arguments.json:
        write_json(arguments.json, as_json(base, head, rows, verdicts, arguments.limit, seconds))
    n_slower = sum(text in FAILURES for text in verdicts.values())
    said = (
        f"{n_slower} of {len(rows)} rows are regressions"
        if n_slower
        else f"No regression in {len(rows)} rows"
    )
    console.print(f"{said}, limit {arguments.limit:g}; {seconds:.0f} s.")
    return int(n_slower > 0)


def rows_for(sides, arguments):
    """The rows asked for, those of the checkout that this file is in."""
    trained = sides[HEAD].ask(rows=True)
    if arguments.quick:
        trained = {name: unit for name, unit in trained.items() if name.endswith(QUICK)}
    rows = [Trained(name, unit) for name, unit in trained.items()]
    rows += [Started(name, *how) for name, how in STARTING.items()]
    chosen = [row for row in rows if arguments.only.lower() in row.name.lower()]
    if not chosen:
        allowed = "; ".join(row.name for row in rows)
        raise MeasuringError(f"--only {arguments.only!r} is in no row's name; rows are: {allowed}.")
    return chosen


def compile_all(rows, sides):
    """Fill each side's cache, both at once: what is measured then has its kernels from the disk on both."""

    def fill(side):
        for row in rows:
            row.warm(side)

    with ThreadPoolExecutor() as pool:
        list(pool.map(fill, sides.values()))


def first_look(rows, sides, n_processes, console):
    with progress(console, "Measuring", n_processes) as tell:
        measure(rows, sides, n_processes, tell)


def look_again(rows, sides, n_processes, limit, console):
    names = ", ".join(f"{row.name} ({ratio(row.rounds)[0]:.2f})" for row in rows)
    console.print(escape(f"Above {limit:g}, so measured again: {names}."))
    for row in rows:
        row.first_rounds, row.rounds = row.rounds, []
    with progress(console, "Measuring again", n_processes) as tell:
        measure(rows, sides, n_processes, tell)


@contextlib.contextmanager
def progress(console, what, n_processes):
    """A function that tells which processes are at work; on a terminal in a line that goes away."""
    if not console.is_terminal:
        console.print(f"{what}, in {n_processes} processes for each commit.")
        yield lambda i: None
        return
    with console.status(what) as status:
        yield lambda i: status.update(f"{what}, in processes {i + 1} of {n_processes} for each commit")


SAME, FASTER, SLOWER = "same", "faster", "slower"
NEW, GONE = "only head has it", "head fails"
FAILURES = (SLOWER, GONE)


def verdict(row, limit):
    if HEAD in row.missing:
        return GONE
    if BASE in row.missing:
        return NEW
    middle = ratio(row.rounds)[0]
    return SLOWER if middle > limit else FASTER if middle < 1 / limit else SAME


STYLES = {SLOWER: "bold red", GONE: "bold red", FASTER: "green", NEW: "yellow", SAME: ""}


def table_of(rows, verdicts):
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("row")
    for name in ("base", "head", "ratio", "quartiles"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("unit")
    table.add_column("verdict")
    for row in rows:
        text = verdicts[row.name]
        cells = ["-"] * 4
        if row.rounds:
            middle, low, high = ratio(row.rounds)
            cells = [_figure(row, BASE), _figure(row, HEAD), f"{middle:.3f}", f"{low:.3f} - {high:.3f}"]
        why = "".join(f": {reason}" for reason in row.missing.values())
        table.add_row(escape(row.name), *cells, row.unit, escape(text + why), style=STYLES[text])
    return table


def _figure(row, side):
    return f"{row.median(side):,.3g}" if row.median(side) < 1000 else f"{row.median(side):,.0f}"


def as_json(base, head, rows, verdicts, limit, seconds):
    return {
        "base": base,
        "head": head,
        "limit": limit,
        "passed": not any(text in FAILURES for text in verdicts.values()),
        "seconds": seconds,
        **where_and_with(),
        "rows": [as_record(row, verdicts[row.name]) for row in rows],
    }


def as_record(row, text):
    record = {"name": row.name, "unit": row.unit, "verdict": text, "missing": row.missing}
    if row.rounds:
        middle, low, high = ratio(row.rounds)
        record |= {
            "base": row.median(BASE),
            "head": row.median(HEAD),
            "ratio": middle,
            "quartiles": [low, high],
        }
        record |= {"seconds_of_rounds": row.rounds, "seconds_of_rounds_at_first": row.first_rounds}
    return record


if __name__ == "__main__":
    sys.exit(main())
