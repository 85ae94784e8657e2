"""The dashboard is built from the results in the repository, and a browser shows it from a plain folder.

What a reader would read is read here from the page in headless Chromium (apt install chromium): text, its
contrast to what is behind it, and the curves' points.
"""

import base64
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT))  # as benchmarks/dashboard.py does
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
    "--virtual-time-budget=60000",
]
LEAST_COMMITS = 12
LEAST_CONTRAST = 4.5  # of text, as the Web Content Accessibility Guidelines have it; curves need 3
DECOY = "https://example.invalid/decoy.png"
"""What is asked for to see that this is noticed."""
POPULATION = "population.PopulationTraining.track_ns_per_network_step"
INNER_LOOP = ["inner_loop.InnerLoop.track_ns_per_step", "inner_loop.InnerLoop.track_cups"]

asv_machine = pytest.importorskip("asv.machine", reason="needs asv")

from benchmarks import dashboard as command  # noqa: E402
from benchmarks.on_dashboard import history, measuring  # noqa: E402

pytestmark = pytest.mark.skipif(not (CHECKOUT / ".git").exists(), reason="needs a checkout of git")


def run(*command: str, cwd: Path, status: int = 0) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PIP_NO_COMPILE": "1"}  # half the time of making an environment
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == status, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done


def checked_out(folder: Path, *options: str) -> Path:
    """Clone HEAD, with the benchmarks as they are here."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    run("git", "clone", "--quiet", *options, CHECKOUT.as_uri(), str(folder), cwd=folder.parent)
    shutil.rmtree(folder / "benchmarks")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "benchmarks", folder / "benchmarks", ignore=ignored)
    shutil.copy(CHECKOUT / "asv.conf.json", folder)
    return folder


def dashboard(folder: Path, *options: str, status: int = 0) -> str:
    """What the dashboard's command says; of an error, what it says of that."""
    done = run(sys.executable, "benchmarks/dashboard.py", *options, cwd=folder, status=status)
    return done.stderr if status else done.stdout


def published(page: Path) -> dict:
    """Every result that the page shows, by its path there."""
    text = (page / "results.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("var published_results = ").removesuffix(";\n"))


def series(results: dict) -> dict:
    """Points of each curve, by graph and parameters' values."""
    found = {}
    for path, points in results.items():
        if Path(path).stem not in results["index.json"]["benchmarks"] or path.startswith("graphs/summary/"):
            continue
        for revision, values in points:
            for i, value in enumerate(values if isinstance(values, list) else [values]):
                if value is not None:
                    found.setdefault((path, i), {})[revision] = value
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dashboard of the results in the repository."""
    folder = checked_out(tmp_path_factory.mktemp("one") / "numbabp")
    said = dashboard(folder, "--no-measure")
    assert said.endswith(f"{(folder / '.asv' / 'html' / 'index.html').as_uri()}\n")
    return folder / ".asv" / "html"


def test_two_folders_make_the_same_series(page: Path, tmp_path: Path) -> None:
    folder = checked_out(tmp_path / "a folder" / "by another name")
    dashboard(folder, "--no-measure", "--output", str(tmp_path / "page"))
    first, second = published(page), published(tmp_path / "page")
    del first["info.json"], second["info.json"]  # tells when it was made
    assert first == second


def test_each_network_and_dtype_is_one_series_of_twelve_commits_at_least(page: Path) -> None:
    results = published(page)
    index = results["index.json"]
    assert len(index["graph_param_list"]) == 1
    lengths = {}
    for (path, i), points in series(results).items():
        lengths.setdefault(Path(path).stem, {})[i] = len(points)
    for name in INNER_LOOP:
        networks, dtypes = index["benchmarks"][name]["params"]
        assert len(lengths[name]) == len(networks) * len(dtypes)
        assert min(lengths[name].values()) >= LEAST_COMMITS


def test_results_are_of_commits_of_this_project_on_the_documented_machine(page: Path) -> None:
    files = list((CHECKOUT / "benchmarks" / "history").glob("*/*-*.json"))
    line = run("git", "rev-list", "--first-parent", "HEAD", cwd=CHECKOUT).stdout.split()
    for path in files:
        results = json.loads(path.read_text())
        assert results["commit_hash"] in line
        assert path.name == f"{results['commit_hash'][:8]}-{results['env_name']}.json"
        assert results["params"]["machine"] == path.parent.name
    shown = published(page)["index.json"]
    assert {path.name[:8] for path in files} == {c[:8] for c in shown["revision_to_hash"].values()}
    description = (CHECKOUT / "benchmarks" / "history" / "README.md").read_text()
    assert all(machine in description for machine in shown["machines"])


def test_libraries_are_those_that_asvs_page_asks_for() -> None:
    libraries = CHECKOUT / "benchmarks" / "on_dashboard" / "libraries"
    asked = (Path(asv_machine.__file__).parent / "www" / "index.html").read_text()
    sums = dict(re.findall(r'="https://[^"]*/([^"/]+)" integrity="([^"]+)"', asked))
    same = set()
    for name, expected in sums.items():
        if (libraries / name).exists():
            algorithm, _, digest = expected.partition("-")
            content = (libraries / name).read_bytes()
            if base64.b64encode(hashlib.new(algorithm, content).digest()).decode() == digest:
                same.add(name)
    assert same >= {
        "jquery-3.3.1.min.js",
        "bootstrap.min.js",
        "bootstrap.min.css",
        "jquery.flot.orderBars.js",
        "md5.min.js",
    }


def test_a_folder_of_something_else_is_not_replaced(page: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    said = dashboard(page.parents[1], "--no-measure", "--output", str(tmp_path), status=1)
    assert (
        said == f"dashboard: --output {tmp_path} has something else than an older page; name another folder\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_shallow_clone_is_told_what_it_lacks(tmp_path: Path) -> None:
    folder = checked_out(tmp_path / "shallow", "--depth", "1")
    history = folder / "benchmarks" / "history"
    head = run("git", "rev-parse", "HEAD", cwd=folder).stdout[:8]
    for path in history.glob(f"*/{head}-*.json"):
        path.unlink()
    assert "git fetch --unshallow" in dashboard(folder, "--no-measure", status=1)


def test_without_asv_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert command.main(["--no-measure"]) == "dashboard: asv is missing: pip install '.[bench]'"


def test_only_a_commit_that_can_be_drawn_is_measured(page: Path) -> None:
    folder = page.parents[1]
    author = ("-c", "user.name=numbabp developers", "-c", "user.email=")
    tree = ("commit-tree", "-p", "HEAD", "-m", "on another branch", "HEAD^{tree}")
    aside = run("git", *author, *tree, cwd=folder).stdout.strip()
    said = dashboard(folder, "--measure", aside, status=1)
    assert said.startswith(f"dashboard: {aside[:8]}: neither HEAD nor one of its first parents")
    said = dashboard(folder, "--measure", "v0.0", status=1)
    assert said == "dashboard: --measure v0.0: git knows no such commit\n"


DOCUMENTED = json.loads((CHECKOUT / "benchmarks" / "history" / history.MACHINE / "machine.json").read_text())


def test_the_documented_machine_is_known_by_its_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {**DOCUMENTED, "machine": "a host's name", "os": "a newer system"}
    monkeypatch.setattr(asv_machine.Machine, "get_defaults", lambda: here)
    found = history.machine_at_hand(CHECKOUT)
    assert found == {fact: value for fact, value in DOCUMENTED.items() if fact != "version"}


@pytest.mark.parametrize("fact", ["arch", "cpu", "num_cpu", "ram"])
def test_another_machine_is_told_apart_and_not_kept(fact: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = {**DOCUMENTED, "machine": "a host's name", fact: "1"}
    monkeypatch.setattr(asv_machine.Machine, "get_defaults", lambda: here)
    assert history.machine_at_hand(CHECKOUT)["machine"] == "this-machine"
    with pytest.raises(measuring.CannotMeasure, match=f"the history is of {history.MACHINE} alone"):
        measuring.measure(CHECKOUT, ["HEAD"], quick=False, keep=True)


def test_what_is_kept_goes_into_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checked_out(tmp_path / "numbabp")
    head = run("git", "rev-parse", "HEAD", cwd=folder).stdout.strip()
    monkeypatch.setattr(asv_machine.Machine, "get_defaults", lambda: DOCUMENTED)

    def as_asv_does(config, commit, machine, described, bench):
        results = Path(config.results_dir)
        shutil.copy(folder / "benchmarks" / "history" / "benchmarks.json", results)
        (results / machine / "machine.json").write_text((Path(described) / "machine.json").read_text())
        (results / machine / f"{commit[:8]}-virtualenv-py3.99.json").write_text("{}")
        return True

    monkeypatch.setattr(measuring, "_run", as_asv_does)
    assert measuring.measure(folder, ["HEAD"], quick=False, keep=True) == []
    kept = folder / "benchmarks" / "history" / history.MACHINE
    assert (kept / f"{head[:8]}-virtualenv-py3.99.json").read_text() == "{}"
    assert run("git", "status", "--porcelain", "--", "benchmarks/history", cwd=folder).stdout


def hash_of(name: str, benchmark: dict) -> str:
    """Address within the page of a graph with every value of every parameter."""
    chosen = zip(benchmark["param_names"], benchmark["params"], strict=True)
    options = ["y-axis-scale=log"]
    options += [f"p-{parameter}={quote(value)}" for parameter, values in chosen for value in values]
    return f"#{name}?{'&'.join(options)}"


@pytest.fixture(scope="module")
def seen(page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What a browser shows of each page, opened from a folder; it may ask for nothing outside."""
    if not CHROMIUM:
        pytest.skip("needs Chromium")
    folder = tmp_path_factory.mktemp("browser")
    copy = folder / "page"
    shutil.copytree(page, copy)
    benchmarks = published(page)["index.json"]["benchmarks"]
    pages = [["grid", "#/"], ["list", "#/summarylist"], ["default", f"#{INNER_LOOP[0]}"]]
    pages += [[name, hash_of(name, benchmarks[name])] for name in (*INNER_LOOP, POPULATION)]
    shutil.copy(Path(__file__).with_name("dashboard_probe.js"), copy)
    index = (copy / "index.html").read_text()
    head = (
        "<head><meta http-equiv='Content-Security-Policy' "
        "content=\"default-src file: data: 'unsafe-inline'\">"
        f"<script>var probe_pages = {json.dumps(pages)}, probe_decoy = '{DECOY}';</script>"
    )
    probe = '<script src="dashboard_probe.js"></script></body>'
    (copy / "index.html").write_text(index.replace("<head>", head).replace("</body>", probe))
    done = subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", _uri(copy)],
        env={**os.environ, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:] + done.stderr
    return json.loads(html.unescape(found[1]))


def _uri(folder: Path) -> str:
    return (folder / "index.html").as_uri()


def luminance(colour: list[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (x / 255 for x in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def readable(texts: list[dict]) -> list[str]:
    """The texts, after a look at each: in contrast to what is behind, large enough, covered by nothing."""
    assert texts
    for text in texts:
        assert contrast(text["colour"], text["behind"]) >= LEAST_CONTRAST, text
        assert text["size"] >= 9, text
        assert not text["covered"], text
        assert text["box"][0] >= 0 and text["box"][2] <= 1280, text
    return [text["text"] for text in texts]


def apart(texts: list[dict]) -> bool:
    """Whether no text overlaps another by more than a pixel."""
    boxes = [text["box"] for text in texts]
    return not any(
        a[0] < b[2] - 1 and b[0] < a[2] - 1 and a[1] < b[3] - 1 and b[1] < a[3] - 1
        for i, a in enumerate(boxes)
        for b in boxes[:i]
    )


def test_the_page_asks_for_nothing_outside_its_folder(seen: dict) -> None:
    assert seen["problems"] == [f"asked for {DECOY}"]
    assert not any(page["error"] for page in seen["pages"].values())


def test_the_legend_tells_every_network_and_dtype(page: Path, seen: dict) -> None:
    for name in INNER_LOOP:
        networks, dtypes = published(page)["index.json"]["benchmarks"][name]["params"]
        legend = seen["pages"][name]["legend"]
        expected = {f"dtype-{d[1:-1]}; network-{n[1:-1]}" for n in networks for d in dtypes}
        assert set(readable(legend)) == expected
        assert len(legend) == len(expected)
        assert apart(legend)
        assert min(text["box"][0] for text in legend) > seen["pages"][name]["graph"][2]


def test_every_curve_has_its_commits_and_a_colour_to_see(page: Path, seen: dict) -> None:
    for name in ["default", *INNER_LOOP]:
        (curves,) = seen["pages"][name]["series"]
        assert {curve["label"] for curve in curves} == {
            text["text"] for text in seen["pages"][name]["legend"]
        }
        assert min(curve["points"] for curve in curves) >= LEAST_COMMITS
        assert len({curve["label"] for curve in curves}) == len(curves)
        colours = [tuple(curve["colour"]) for curve in curves]
        assert len(set(colours)) == len(colours)
        assert all(contrast(colour, [255, 255, 255]) >= 3 for colour in colours)


def test_curves_without_a_point_are_left_out(seen: dict) -> None:
    (curves,) = seen["pages"][POPULATION]["series"]
    assert all(curve["points"] for curve in curves)
    assert {curve["label"][-9:] for curve in curves} == {"threads-1"}  # the history is of one processor


def test_axes_tell_commits_and_powers_of_ten(page: Path, seen: dict) -> None:
    results = published(page)
    commits = {commit[:8] for commit in results["index.json"]["revision_to_hash"].values()}
    for name in ["default", *INNER_LOOP]:
        ticks = seen["pages"][name]["x_ticks"]
        assert len(ticks) >= 4
        assert set(readable(ticks)) <= commits
        assert apart(ticks)
        powers = readable(seen["pages"][name]["y_ticks"])
        assert len(powers) >= 3
        assert all(re.fullmatch(r"10\d+", power) for power in powers)


def test_the_grid_draws_every_benchmark(page: Path, seen: dict) -> None:
    grid = seen["pages"]["grid"]
    names = {name.partition(".")[2] for name in published(page)["index.json"]["benchmarks"]}
    assert names <= set(readable(grid["grid"]))
    assert apart(grid["grid"])
    assert all(curve["points"] >= 8 for (curve,) in grid["grid_series"])  # populations came later
    assert len(grid["grid_series"]) == len(names)


def test_the_list_tells_every_figure_with_its_unit(seen: dict) -> None:
    texts = readable(seen["pages"]["list"]["list"])
    assert texts[:2] == ["Benchmark", "Value"]
    assert f"{INNER_LOOP[1]} ('2-10-1 tiny', 'float32')" in texts
    assert sum(bool(re.fullmatch(r"\d\.\d\de\+\d+ weights/s", text)) for text in texts) >= 10
    faster = [text for text in seen["pages"]["list"]["list"] if re.match(r"\+.*weights/s", text["text"])]
    assert faster
    assert all(text["behind"][1] > text["behind"][0] for text in faster)  # green, not red


def test_navigation_and_settings_are_readable(seen: dict) -> None:
    for name in INNER_LOOP:
        assert "Benchmark list" in readable(seen["pages"][name]["navigation"])
        assert {"log scale", "machine", "float64"} <= set(readable(seen["pages"][name]["sidebar"]))


@pytest.mark.slow
def test_the_commit_at_hand_is_built_from_git_and_joins_its_series_in_any_folder(tmp_path: Path) -> None:
    drawn = []
    environments = tmp_path / "environments"  # one for both, to be made once
    environments.mkdir()
    for name in ("here", "in another folder"):
        folder = checked_out(tmp_path / name / "numbabp")
        (folder / ".asv").mkdir()
        (folder / ".asv" / "env").symlink_to(environments, target_is_directory=True)
        (folder / "numbabp" / "__init__.py").write_text("raise SystemExit('this is in no commit')\n")
        said = dashboard(folder, "--quick")
        assert "Not measured, for they are in no commit: changes of 1 files" in said
        head = run("git", "rev-parse", "HEAD", cwd=folder).stdout.strip()
        results = published(folder / ".asv" / "html")
        (revision,) = (r for r, commit in results["index.json"]["revision_to_hash"].items() if commit == head)
        drawn.append({curve for curve, points in series(results).items() if int(revision) in points})
    assert drawn[0] == drawn[1]
    assert any(path.endswith("/start_up.StartUp.track_import.json") for path, _ in drawn[0])
