"""The rows: what is wanted of each, what was measured, and both as JSON and as Markdown."""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path

from numbabp.atomic_files import write_atomically

from .ceilings import UNITS
from .tasks import BIG, CHECKS, DIGITS, SMALL

BEGIN, END = "<!-- results -->", "<!-- end of results -->"
SIMULATED = "**simulated: no figure here means anything**, so none is written."
OVERHEAD_ALLOWED = 0.05
CPU = "numbabp, CPU"


def own(kernel):
    """The name of numbabp's row for a kernel."""
    return f"numbabp, GPU, {kernel}"


@dataclass(frozen=True)
class SpeedRow:
    """A system on a task, and what is wanted."""

    task: str
    system: str
    steps: float | None = None
    """Network-steps a second of numbabp, at least."""
    cups: float | None = None
    """Of numbabp, at least."""
    ratio: float | None = None
    """Of numbabp's rate to this system's, at least."""

    @property
    def wanted(self):
        words = []
        if self.steps is not None:
            words.append(f">= {_power(self.steps)} steps/s")
        if self.cups is not None:
            words.append(f">= {_power(self.cups)} CUPS")
        if self.ratio is not None:
            words.append(f">= {self.ratio:g} times")
        return ", ".join(words)


SPEEDS = (
    SpeedRow(SMALL, own("thread"), steps=5e10),
    SpeedRow(SMALL, own("thread, approximate"), steps=1e11),
    SpeedRow(SMALL, own("thread, strict")),
    SpeedRow(SMALL, own("warp")),
    SpeedRow(SMALL, "JAX, vmap of lax.scan", ratio=10),
    SpeedRow(SMALL, CPU),
    SpeedRow(DIGITS, own("warp"), steps=8e8),
    SpeedRow(DIGITS, own("warp, strict")),
    SpeedRow(DIGITS, own("block")),
    SpeedRow(DIGITS, "JAX, vmap of lax.scan", ratio=10),
    SpeedRow(DIGITS, CPU),
    SpeedRow(BIG, own("resident"), steps=1.11e5, cups=5e11),
    SpeedRow(BIG, own("blocked")),
    SpeedRow(BIG, "PyTorch, eager", ratio=5),
    SpeedRow(BIG, "PyTorch, CUDA graph", ratio=3),
    SpeedRow(BIG, "CuPy, step by step"),
    SpeedRow(BIG, "JAX, lax.scan"),
    SpeedRow(BIG, CPU),
)
HEADLINE = {row.task: row.system for row in reversed(SPEEDS) if row.steps or row.cups}
"""The row of numbabp that the others of a task are compared with."""


class Report:
    """Results by table: `ceilings` by name, `checks` by (kernel, dtype, rule), `speeds` by (task, system),
    `overheads` by task. A result is a dict with "note", and with figures if there are any."""

    def __init__(self, environment, simulated=False, reason=""):
        self.environment, self.simulated, self.reason = environment, simulated, reason
        self.ceilings, self.checks, self.speeds, self.overheads = {}, {}, {}, {}
        self.remarks = []

    def verdict_of_check(self, check):
        """True, False, or None where nothing was measured."""
        result = self.checks.get((check.kernel, check.dtype, check.update_rule))
        if result is None:
            return None
        return "difference" in result and result["difference"] <= check.tolerance

    def verdict_of_speed(self, row):
        """True, False, or None where nothing is wanted or nothing was measured."""
        result = self.speeds.get((row.task, row.system), {})
        if not row.wanted:
            return None
        if "steps_per_second" not in result:
            return False if result.get("failed") else None
        rate = statistics.median(result["steps_per_second"])
        if row.ratio is not None:
            ratio = self.ratio(row)
            return None if ratio is None else ratio >= row.ratio
        return rate >= (row.steps or 0) and rate * result["n_weights"] >= (row.cups or 0)

    def ratio(self, row):
        """Of numbabp's median rate on the task to this one's."""
        rates = [
            self.speeds.get((row.task, system), {}).get("steps_per_second")
            for system in (HEADLINE[row.task], row.system)
        ]
        return None if None in rates else statistics.median(rates[0]) / statistics.median(rates[1])

    def verdict_of_overhead(self, task):
        """True, False, or None where nothing was measured."""
        result = self.overheads.get(task)
        if result is None:
            return None
        return "overhead" in result and result["overhead"] < OVERHEAD_ALLOWED

    @property
    def failed_checks(self):
        """Trajectories that were compared and differ, or could not be."""
        return [check for check in CHECKS if self.verdict_of_check(check) is False]

    def to_dict(self):
        """All that was measured, every repeat."""
        return {
            "simulated": self.simulated,
            "no_gpu": self.reason,
            "environment": self.environment,
            "remarks": self.remarks,
            "ceilings": [{"name": name, **result} for name, result in self.ceilings.items()],
            "checks": [
                {"kernel": kernel, "dtype": dtype, "update_rule": rule, **result}
                for (kernel, dtype, rule), result in self.checks.items()
            ],
            "speeds": [
                {"task": task, "system": system, **result} for (task, system), result in self.speeds.items()
            ],
            "overheads": [{"task": task, **result} for task, result in self.overheads.items()],
        }

    def markdown(self):
        """The tables, with empty cells for what was not measured."""
        parts = [self._preface(), self._ceilings(), self._checks(), self._speeds(), self._overheads()]
        if self.remarks and not self.simulated:
            parts.append("\n".join(f"- {remark}" for remark in self.remarks))
        return "\n\n".join(parts) + "\n"

    def _preface(self):
        if self.simulated:
            return SIMULATED
        if self.reason:
            return f"No card was at hand when this was written ({self.reason}), so the cells are empty."
        return "Measured on\n\n" + "\n".join(f"- {key}: {value}" for key, value in self.environment.items())

    def _result(self, results, key):
        return {} if self.simulated else results.get(key, {})

    def _ceilings(self):
        rows = []
        for name, unit in UNITS.items():
            result = self._result(self.ceilings, name)
            rows.append([name, *_median_and_spread(result.get("figures")), unit, result.get("note", "")])
        return _table("### Ceilings", ["ceiling", "median>", "least to most>", "unit", "note"], rows)

    def _checks(self):
        rows = []
        for check in CHECKS:
            key = (check.kernel, check.dtype, check.update_rule)
            result = self._result(self.checks, key)
            found = result.get("difference")
            rows.append(
                [
                    *key,
                    result.get("network", ""),
                    "" if found is None else f"{found:.1e}",
                    f"<= {check.tolerance:g}",
                    "" if self.simulated else _word(self.verdict_of_check(check)),
                    result.get("note", ""),
                ]
            )
        columns = ["kernel", "dtype", "rule", "network", "largest difference>", "allowed>", "", "note"]
        return _table("### The CPU's trajectory after 200 steps", columns, rows)

    def _speeds(self):
        rows = []
        for row in SPEEDS:
            result = self._result(self.speeds, (row.task, row.system))
            rates = result.get("steps_per_second")
            cells = [row.task, row.system, *_median_and_spread(rates, _power)]
            if rates:
                rate = statistics.median(rates)
                on_device = result.get("device_steps_per_second")
                cells += [_power(statistics.median(on_device)) if on_device else ""]
                cells += [_power(rate * result["n_weights"]), _power(rate * result["n_parameters"])]
                ratio = self.ratio(row)
                cells += ["" if ratio is None else f"{ratio:.3g}"]
            else:
                cells += [""] * 4
            verdict = "" if self.simulated else _word(self.verdict_of_speed(row))
            rows.append([*cells, row.wanted, verdict, result.get("note", "")])
        columns = ["task", "system", "network-steps/s>", "least to most>", "by device events>", "CUPS>"]
        columns += ["parameters/s>", "numbabp's / this>", "wanted>", "", "note"]
        return _table("### Speed, float32", columns, rows)

    def _overheads(self):
        rows = []
        for task in HEADLINE:
            result = self._result(self.overheads, task)
            cells = [f"{result[key]:.3f} s" if key in result else "" for key in ("wall", "device")]
            cells += [f"{result['overhead']:.1%}" if "overhead" in result else ""]
            verdict = "" if self.simulated else _word(self.verdict_of_overhead(task))
            rows.append([task, *cells, f"< {OVERHEAD_ALLOWED:.0%}", verdict, result.get("note", "")])
        columns = ["task", "whole fit>", "training on the card>", "overhead>", "wanted>", "", "note"]
        return _table("### Launches and transfers, NumPy in and out", columns, rows)


def write_json(report, path):
    """Write all figures, atomically."""
    _write(path, json.dumps(report.to_dict(), indent=1) + "\n")


def write_markdown(report, path):
    """Write the tables: between the two marks if the file has them, else as the whole file; atomically."""
    text, path = report.markdown(), Path(path)
    if path.exists():
        old = path.read_text()
        if BEGIN in old and END in old:
            before, rest = old.split(BEGIN, 1)
            text = f"{before}{BEGIN}\n\n{text}\n{END}{rest.split(END, 1)[1]}"
    _write(path, text)


def _write(path, text):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(text.encode()))


def _word(verdict):
    return {None: "", True: "met", False: "MISSED"}[verdict]


def _power(value):
    return f"{value:.3g}" if 0.01 <= abs(value) < 1e4 else f"{value:.2e}"


def _median_and_spread(figures, text=_power):
    if not figures:
        return ["", ""]
    return [text(statistics.median(figures)), f"{text(min(figures))} to {text(max(figures))}"]


def _table(title, columns, rows):
    """Markdown; columns whose names end with > are aligned to the right."""
    lines = ["| " + " | ".join(name.rstrip(">") for name in columns) + " |"]
    lines.append("|" + "|".join("---:" if name.endswith(">") else "---" for name in columns) + "|")
    lines += ["| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |" for row in rows]
    return "\n".join([title, "", *lines])
