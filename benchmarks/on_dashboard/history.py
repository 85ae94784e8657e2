"""Results that the repository keeps, one file a commit in asv's format, and the machine of all of them."""

import json
import shutil
import subprocess
from pathlib import Path

MACHINE = "epyc-2-cores"
"""The machine of the results in the repository; benchmarks/history/README.md describes it."""
OTHER_MACHINE = "this-machine"
FACTS = ("arch", "cpu", "num_cpu", "ram")
"""What tells one machine from another. A newer system does not make another machine."""


class NoHistory(Exception):
    """Why git has not what the results belong to, in words for the user."""


def kept(checkout: Path) -> Path:
    """Results in the repository."""
    return checkout / "benchmarks" / "history"


def measured(checkout: Path) -> Path:
    """Results of commits measured here, in no repository."""
    return checkout / ".asv" / "dashboard" / "measured"


def configuration(checkout: Path, results: Path):
    """asv's configuration, with the folders of the dashboard."""
    from asv.config import Config

    config = Config.load(str(checkout / "asv.conf.json"))
    config.repo = str(checkout)
    config.results_dir = str(results)
    config.env_dir = str(checkout / ".asv" / "env")
    return config


def machine_at_hand(checkout: Path) -> dict:
    """The machine as asv describes it, by a name that tells nobody its host.

    With the facts of the documented machine it is taken for that one, and then described as that is: each
    fact, the system's version too, is part of the name of a graph.
    """
    from asv.machine import Machine

    here = Machine.get_defaults()
    description = kept(checkout) / MACHINE / "machine.json"
    if not description.exists():
        return {**here, "machine": MACHINE}
    documented = json.loads(description.read_text(encoding="utf-8"))
    if all(documented[fact] == here[fact] for fact in FACTS):
        return {fact: value for fact, value in documented.items() if fact != "version"}
    return {**here, "machine": OTHER_MACHINE}


def git(checkout: Path, *command: str) -> str:
    """Standard output of git in the checkout."""
    try:
        done = subprocess.run(["git", "-C", str(checkout), *command], capture_output=True, text=True)
    except FileNotFoundError:
        raise NoHistory("git is missing, which has the commits") from None
    if done.returncode != 0:
        raise NoHistory(f"git {command[0]} failed in {checkout}: {done.stderr.strip()}")
    return done.stdout.strip()


def line_of_commits(checkout: Path) -> list[str]:
    """Full hashes of HEAD and its first parents, the oldest first: the commits that asv draws."""
    return git(checkout, "rev-list", "--first-parent", "--reverse", "HEAD").splitlines()


def collected(checkout: Path):
    """asv's configuration for the results kept and those measured here, in one new folder.

    Results of commits that HEAD does not come from are left out: asv has no place for them in a graph.
    """
    together = checkout / ".asv" / "dashboard" / "results"
    shutil.rmtree(together, ignore_errors=True)
    together.mkdir(parents=True)
    line = set(line_of_commits(checkout))
    n_left_out = 0
    sources = (kept(checkout), measured(checkout))
    suites = [source / "benchmarks.json" for source in sources if (source / "benchmarks.json").exists()]
    if suites:  # as they were measured last
        shutil.copy(max(suites, key=lambda path: path.stat().st_mtime), together)
    for source in sources:
        for path in sorted(source.glob("*/*.json")):
            results = json.loads(path.read_text(encoding="utf-8"))
            if results.get("commit_hash", "") in line or path.name == "machine.json":
                (together / path.parent.name).mkdir(exist_ok=True)
                shutil.copy(path, together / path.parent.name)
            else:
                n_left_out += 1
    if n_left_out:
        print(f"Left out: results of {n_left_out} commits that HEAD does not come from, as far as git knows")
    if not any(path.name != "machine.json" for path in together.glob("*/*.json")):
        raise NoHistory(
            "git has none of the commits that there are results of. Is this a shallow clone? "
            "git fetch --unshallow gets the rest"
        )
    return configuration(checkout, together)
