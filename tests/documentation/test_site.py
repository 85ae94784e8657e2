"""The site is built without a warning; its links lead somewhere, and every public name is on it."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from built_site import dead_links, dead_links_to, objects, too_wide

import numbabp

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PACKAGES = ("jit", "loggers", "plotting", "river", "sklearn")
"""Public ones beside the root."""


def public_names() -> set[str]:
    """As users write them."""
    of_packages = {
        f"numbabp.{package}.{name}"
        for package in PACKAGES
        for name in importlib.import_module(f"numbabp.{package}").__all__
    }
    return {f"numbabp.{name}" for name in numbabp.__all__} | of_packages


@pytest.mark.slow
@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="takes minutes")
def test_the_site(tmp_path):
    for module in ("myst_nb", "pydata_sphinx_theme", "sphinx_gallery", "river", "matplotlib", "asv"):
        pytest.importorskip(module)
    if not (ROOT / ".git").exists():
        pytest.skip("the dashboard needs a checkout of git")
    site = tmp_path / "site"
    done = subprocess.run(
        [sys.executable, "docs/build.py", "--output", str(site)],
        cwd=ROOT,
        env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "WARNING" not in done.stderr + done.stdout
    assert dead_links(site) == []
    (repository,) = re.findall(r'^REPOSITORY = "(.+)"', (ROOT / "examples/course/build.py").read_text(), re.M)
    assert dead_links_to(f"https://github.com/{repository}", ROOT, site) == []
    assert public_names() <= set().union(*objects(site).values())
    methods = objects(site)["method"]
    assert {"numbabp.Network.fit", "numbabp.Network.trace", "numbabp.MLPClassifier.predict_proba"} <= methods
    # pictures of every example, formulas that are drawn, the dashboard, the notebooks with what they print
    for script in (ROOT / "examples" / "gallery").glob("plot_*.py"):
        page = (site / "made" / "gallery" / f"{script.stem}.html").read_text(encoding="utf-8")
        assert re.search(rf"_images/sphx_glr_{script.stem}_\d+\.png", page), script
    for page in site.rglob("*.html"):
        assert "$$" not in page.read_text(encoding="utf-8").replace("&#36;", "$"), page
    assert "<mfrac" in (site / "formulas.html").read_text(encoding="utf-8")
    assert (site / "dashboard" / "index.html").exists()
    assert any((site / "_images").glob("*.gif"))  # of the course
    assert CHROMIUM is None or too_wide(site, CHROMIUM) == []


def test_dead_links_are_found(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there"></a><a href="#here"></a><p id="here"></p><a href="https://c.invalid/d"></a>'
        '<a href="folder"></a><img src="no.png"><a href="b.html#not"></a><a href="no.html"></a>'
        '<a href="#no"></a>'
    )
    (tmp_path / "b.html").write_text('<h1 id="there"><a name="old"></a></h1><a href="a.html"></a>')
    (tmp_path / "folder" / "index.html").write_text('<a href="../b.html#old"></a>')
    assert dead_links(tmp_path) == [
        f"a.html: {target}" for target in ("#no", "b.html#not", "no.html", "no.png")
    ]


def test_an_output_that_is_no_site_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    done = subprocess.run(
        [sys.executable, "docs/build.py", "--output", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2 and "holds something else" in done.stderr
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_dead_links_to_the_repository_are_found(tmp_path):
    there = '<a href="https://github.com/a/b/blob/main/{}"></a>'
    (tmp_path / "a.html").write_text(there.format("pyproject.toml#L1") + there.format("no.toml"))
    assert dead_links_to("https://github.com/a/b", ROOT, tmp_path) == ["a.html: no.toml"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_what_is_too_wide_is_found(tmp_path):
    wide = '<div style="width: 500px">wide</div>'
    (tmp_path / "a.html").write_text(f"<article>narrow</article><p>{wide}</p>")
    (tmp_path / "b.html").write_text(f'<article><div style="overflow-x: auto">{wide}</div>{wide}</article>')
    assert too_wide(tmp_path, CHROMIUM) == ["b.html: DIV wide"]
