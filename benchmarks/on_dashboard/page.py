"""Publish asv's page so that a browser opens it from a plain folder: no server, no network.

asv's page takes its libraries from the web and its results by XMLHttpRequest, which browsers forbid in files.
Here the libraries lie beside the page, and the results are a script that the page loads before its own.
"""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
LIBRARIES = HERE / "libraries"
RESULTS = "results.js"
OURS = (RESULTS, "from_folder.js", "readable.js")
"""Scripts that are loaded before asv's own."""
STYLE = "readable.css"

SCRIPT = re.compile(r'<script(?=[^>]* src="(?P<address>[^"]+)")[^>]*>\s*</script>')
STYLESHEET = re.compile(r'<link(?=[^>]* rel="stylesheet")(?=[^>]* href="(?P<address>[^"]+)")[^>]*>')


class NotAPage(Exception):
    """Why a folder is not replaced, in words for the user."""


def publish(config, folder: Path) -> int:
    """Write the page of the results that the configuration names; returns how many commits they are of.

    An older page in the folder is replaced by the whole new one, which is made beside it.
    """
    from asv.commands.publish import Publish

    if folder.exists() and not _is_replaceable(folder):
        raise NotAPage(f"--output {folder} has something else than an older page; name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        made = Path(beside) / "made"
        config.html_dir = str(made)
        Publish.run(config, pull=False)
        _take_libraries_along(made)
        n_commits = _turn_results_into_a_script(made)
        for name in (*OURS[1:], STYLE):
            shutil.copy(HERE / name, made)
        if folder.exists():
            os.replace(folder, Path(beside) / "replaced")
        os.replace(made, folder)
    return n_commits


def _is_replaceable(folder: Path) -> bool:
    """Whether the folder is empty or asv's page, with the results inside or beside."""
    return folder.is_dir() and (not any(folder.iterdir()) or (folder / "graphdisplay.js").exists())


def local_name(address: str) -> str:
    """Name beside the page of a script or stylesheet, given the address that asv's page has."""
    name = Path(urlsplit(address).path).name
    if not urlsplit(address).netloc:  # asv's own
        return name
    for candidate in (name, name.replace(".min.js", ".js")):
        if (LIBRARIES / candidate).exists():
            return candidate
    raise FileNotFoundError(f"asv's page asks for {address}, of which {LIBRARIES} has no copy")


def _take_libraries_along(folder: Path) -> None:
    index = folder / "index.html"

    def take(match: re.Match[str]) -> str:
        name = local_name(match["address"])
        if (LIBRARIES / name).exists():
            shutil.copy(LIBRARIES / name, folder)
        if match[0].startswith("<link"):
            return f'<link rel="stylesheet" href="{name}">'
        ours = "".join(f'<script src="{script}"></script>\n    ' for script in OURS)
        return (ours if name == "asv.js" else "") + f'<script src="{name}"></script>'

    page = STYLESHEET.sub(take, SCRIPT.sub(take, index.read_text(encoding="utf-8")))
    page = page.replace("</head>", f'  <link rel="stylesheet" href="{STYLE}">\n  </head>')
    index.write_text(page, encoding="utf-8")


def _turn_results_into_a_script(folder: Path) -> int:
    """Put every JSON file of the page into one script, by its path in the page; how many commits it has."""
    results = {}
    for path in sorted(folder.rglob("*.json")):
        results[path.relative_to(folder).as_posix()] = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
    shutil.rmtree(folder / "graphs")
    text = json.dumps(results, separators=(",", ":"))
    (folder / RESULTS).write_text(f"var published_results = {text};\n", encoding="utf-8")
    return len(results["index.json"]["revision_to_hash"])
