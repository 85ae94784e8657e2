"""asv measures, publishes, and a browser sees the graph.

asv's page takes its JavaScript libraries from the web. So that nothing outside this machine is needed, the
page is served with copies of them from Debian's packages (apt install chromium libjs-jquery libjs-jquery-flot
libjs-bootstrap libjs-jquery-stupidtable node-blueimp-md5); everything else is as asv published it.
"""

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

CHECKOUT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--window-size=1280,900",
    "--virtual-time-budget=20000",
]
BENCHMARK = "inner_loop.InnerLoop.track_ns_per_step"

SYSTEM_LIBRARIES = Path("/usr/share/javascript")
LIBRARIES = {
    "jquery-3.3.1.min.js": "jquery/jquery.min.js",
    "jquery.flot.min.js": "jquery-flot/jquery.flot.min.js",
    "jquery.flot.selection.min.js": "jquery-flot/jquery.flot.selection.min.js",
    "stupidtable.min.js": "jquery-stupidtable/stupidtable.min.js",
    "md5.min.js": "blueimp-md5/md5.min.js",
    "bootstrap.min.js": "bootstrap/js/bootstrap.min.js",
    "bootstrap.min.css": "bootstrap/css/bootstrap.min.css",
}
"""The libraries that the page asks for, and where Debian has them."""
IN_FLOT_4 = {"jquery.flot.time.min.js", "jquery.flot.categories.min.js", "jquery.flot.axislabels.js"}
"""Plugins for Flot 0.8, which are part of Debian's Flot 4."""
NOT_IN_DEBIAN = {"jquery.flot.orderBars.js"}
"""Puts bars side by side; curves do without."""

MISSING = [
    what
    for what, there in {
        "Chromium": CHROMIUM,
        "git": shutil.which("git"),
        **{str(SYSTEM_LIBRARIES / f): (SYSTEM_LIBRARIES / f).exists() for f in LIBRARIES.values()},
    }.items()
    if not there
]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")


def use_system_libraries(html: Path) -> None:
    """Replace what index.html takes from the web by copies beside it."""

    def replace(match: re.Match[str]) -> str:
        name = Path(urlsplit(match["address"]).path).name
        if name in IN_FLOT_4 | NOT_IN_DEBIAN:
            return ""
        if match["address"] == name:  # asv's own
            return match[0]
        shutil.copy(SYSTEM_LIBRARIES / LIBRARIES[name], html / name)
        return (
            f'<link rel="stylesheet" href="{name}">'
            if name.endswith(".css")
            else f'<script src="{name}"></script>'
        )

    index = html / "index.html"
    page = re.sub(r'<script[^>]* src="(?P<address>[^"]+)"[^>]*>\s*</script>', replace, index.read_text())
    page = re.sub(r'<link rel="stylesheet" href="(?P<address>[^"]+)"[^>]*>', replace, page)
    index.write_text(page)


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory):
    """Address of a dashboard with results of two commits."""
    pytest.importorskip("asv", reason="needs asv")
    folder = tmp_path_factory.mktemp("dashboard")
    shutil.copytree(
        CHECKOUT / "benchmarks", folder / "benchmarks", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(CHECKOUT / "asv.conf.json", folder)
    home = folder / "home"
    home.mkdir()

    def run(*command: str, **environment: str) -> None:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "HOME": str(home), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout}"

    asv = [sys.executable, "-m", "asv"]
    run("git", "init", "--quiet")
    run(*asv, "machine", "--yes")
    for day in ("2026-01-01", "2026-01-02"):
        dates = {"GIT_AUTHOR_DATE": f"{day}T12:00:00Z", "GIT_COMMITTER_DATE": f"{day}T12:00:00Z"}
        author = ("-c", "user.name=numbabp developers", "-c", "user.email=")
        run("git", *author, "commit", "--quiet", "--allow-empty", "--message", day, **dates)
        only = BENCHMARK.replace(".", r"\.") + r"\('2-10-1', 'float32'\)"
        run(*asv, "run", "--quick", "--python=same", "--set-commit-hash=HEAD", "--bench", only)
    run(*asv, "publish")
    html = folder / ".asv" / "html"
    use_system_libraries(html)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(html))
    ) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def browse(address: str, tmp_path: Path, *flags: str) -> str:
    """Open a page in a new browser; returns what it wrote to standard output."""
    done = subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, address],
        env={**os.environ, "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def coloured_pixels(picture: Path) -> int:
    """Pixels of a strong colour within the graph's frame, right of the navigation and the legend."""
    image = pytest.importorskip("matplotlib.image").imread(picture)[120:750, 560:, :3]
    return int(np.sum(image.max(axis=2) - image.min(axis=2) > 0.3))


def test_the_grid_links_to_the_benchmark(dashboard: str, tmp_path: Path) -> None:
    page = browse(dashboard, tmp_path, "--dump-dom")
    assert f'href="#{BENCHMARK}' in page
    assert '<canvas class="flot-base"' in page


def test_a_benchmark_is_drawn_as_a_graph(dashboard: str, tmp_path: Path) -> None:
    picture = tmp_path / "graph.png"
    browse(f"{dashboard}#{BENCHMARK}", tmp_path, f"--screenshot={picture}")
    assert coloured_pixels(picture) > 400  # the line between two commits crosses some 700


def test_an_unknown_benchmark_has_no_graph(dashboard: str, tmp_path: Path) -> None:
    picture = tmp_path / "none.png"
    browse(f"{dashboard}#no.such.benchmark", tmp_path, f"--screenshot={picture}")
    assert coloured_pixels(picture) < 40
