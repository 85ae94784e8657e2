"""Show how the benchmarks went over the project's commits, as a page that a browser opens from a folder.

    python benchmarks/dashboard.py [--output FOLDER] [--quick | --no-measure]
    python benchmarks/dashboard.py --measure COMMIT [COMMIT ...] [--keep]

The page has the results that the repository keeps in benchmarks/history, and those of the commit at hand.
That is built from git, never from files that are in no commit, installed into an environment of its own, and
measured in some three minutes, on one processor. What is measured stays in .asv; --keep puts it into
benchmarks/history.
Not an asv suite; asv does the building, measuring and drawing.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(CHECKOUT))


def options(arguments=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        default=CHECKOUT / ".asv" / "html",
        help="where the page goes, replacing one that is there (default .asv/html of the checkout)",
    )
    parser.add_argument(
        "--measure", nargs="+", metavar="COMMIT", help="measure these instead of the commit at hand"
    )
    parser.add_argument("--quick", action="store_true", help="measure no more than the import")
    parser.add_argument("--no-measure", action="store_true", help="show the results that there are")
    parser.add_argument("--keep", action="store_true", help="put what is measured into benchmarks/history")
    chosen = parser.parse_args(arguments)
    if chosen.no_measure and (chosen.measure or chosen.quick or chosen.keep):
        parser.error("--no-measure goes with none of --measure, --quick and --keep")
    if chosen.keep and chosen.quick:
        parser.error("--keep takes whole results, not those of --quick")
    return chosen


def main(arguments=None):
    """Measure, unless told not to, and publish; the exit status is 1 if something could not be measured."""
    chosen = options(arguments)
    if importlib.util.find_spec("asv") is None:
        return "dashboard: asv is missing: pip install '.[bench]'"
    from asv.console import log

    from benchmarks.on_dashboard import history, measuring, page

    log.enable()  # asv tells what it does
    try:
        failed = []
        if not chosen.no_measure:
            failed = measuring.measure(
                CHECKOUT, chosen.measure or ["HEAD"], quick=chosen.quick, keep=chosen.keep
            )
        n_commits = page.publish(history.collected(CHECKOUT), chosen.output.resolve())
    except (history.NoHistory, measuring.CannotMeasure, page.NotAPage) as error:
        return f"dashboard: {error}"
    finally:
        log.flush()  # ends its line
    print(f"{n_commits} commits: {(chosen.output.resolve() / 'index.html').as_uri()}")
    if failed:
        return f"dashboard: some benchmarks failed of {', '.join(commit[:8] for commit in failed)}; see above"
    return 0


if __name__ == "__main__":
    sys.exit(main())
