"""What a built site holds, read from its files alone."""

import html
import json
import re
import subprocess
import zlib
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

POINTERS = {("a", "href"), ("link", "href"), ("img", "src"), ("script", "src"), ("source", "src")}


class Page(HTMLParser):
    """What a page of HTML points to, and what can be pointed to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id" or (tag, name) == ("a", "name"):
                self.anchors.add(value)
            elif value and (tag, name) in POINTERS:
                self.targets.add(value)


def dead_links(site: Path) -> list[str]:
    """Files and anchors within a site that its pages point to and that are not there.

    What begins with #/ is for the scripts of the dashboard; in _static lie templates of the theme.
    """
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html") if path.parent.name != "_static"}
    dead = []
    for path, page in pages.items():
        for target in sorted(page.targets):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or target.startswith("#/"):
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            to = to / "index.html" if to.is_dir() else to
            anchor = unquote(parts.fragment)
            if not to.exists() or (to in pages and anchor and anchor not in pages[to].anchors):
                dead.append(f"{path.relative_to(site.resolve())}: {target}")
    return dead


def dead_links_to(repository: str, checkout: Path, site: Path) -> list[str]:
    """Files of the main branch on GitHub that pages point to and that are not in the checkout."""
    begin = re.compile(rf"{re.escape(repository)}/(?:blob|tree)/main/([^#?]+)")
    found = {
        (path, match[1])
        for path in site.rglob("*.html")
        for target in Page(path).targets
        if (match := begin.match(target))
    }
    return [f"{path.relative_to(site)}: {to}" for path, to in sorted(found) if not (checkout / to).exists()]


def objects(site: Path) -> dict[str, set[str]]:
    """Names of Python by their role, such as class, function and method, that have a place on the site."""
    with open(site / "objects.inv", "rb") as file:
        for _ in range(4):
            file.readline()  # what the format is, and of which project
        lines = zlib.decompress(file.read()).decode().splitlines()
    found = defaultdict(set)
    for line in lines:
        name, role = line.split()[:2]
        if role.startswith("py:"):
            found[role.removeprefix("py:")].add(name)
    return found


def too_wide(site: Path, chromium: str) -> list[str]:
    """What goes beyond the edge of a phone of 390 pixels, by page."""
    pages = [
        str(path.relative_to(site))
        for path in site.rglob("*.html")
        if not {"_static", "dashboard"} & set(path.relative_to(site).parts)
    ]
    probe = site / "phone_probe.html"
    template = Path(__file__).with_name("phone_probe.html").read_text(encoding="utf-8")
    probe.write_text(template.replace("PAGES", json.dumps(pages)), encoding="utf-8")
    flags = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--no-proxy-server",
    )
    flags += ("--virtual-time-budget=600000", "--window-size=600,900", "--dump-dom")
    shown = subprocess.run([chromium, *flags, probe.as_uri()], capture_output=True, text=True, timeout=300)
    probe.unlink()
    (said,) = re.findall(r"<pre>(.*?)</pre>", shown.stdout, re.DOTALL)
    told = json.loads(html.unescape(said))
    assert told["pages"] == len(pages)
    return told["found"]
