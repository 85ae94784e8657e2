"""Build the site: pages, reference and gallery by Sphinx, and the benchmarks' dashboard beside them.

    pip install ".[docs]"
    python docs/build.py [--output FOLDER]

Warnings are errors. What is made on the way lies in docs/made, which is made anew each time.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent


def main(arguments: list[str] | None = None) -> int:
    """Build; the exit status is that of the first command that fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        default=DOCS / "_build" / "html",
        help="where the site goes, replacing one that is there (default docs/_build/html)",
    )
    output = parser.parse_args(arguments).output.resolve()
    if output.exists() and any(output.iterdir()) and not (output / "objects.inv").exists():
        parser.error(f"--output {output} holds something else than a site")
    for folder in (output, DOCS / "made"):
        shutil.rmtree(folder, ignore_errors=True)
    sphinx = ["-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    trees = ["-d", str(DOCS / "made" / "doctrees")]
    dashboard = [str(DOCS.parent / "benchmarks" / "dashboard.py"), "--no-measure"]
    for command in (
        [*sphinx, *trees, str(DOCS), str(output)],
        [*dashboard, "--output", str(output / "dashboard")],
    ):
        status = subprocess.run([sys.executable, *command]).returncode
        if status:
            return status
    print((output / "index.html").as_uri())
    return 0


if __name__ == "__main__":
    sys.exit(main())
