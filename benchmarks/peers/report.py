"""The rows: printed while they come, then written as JSON, as Markdown and as a picture."""

import json

import numpy as np
import targets

FLOPS_PER_WEIGHT = 4
"""Of the plain algorithm: multiply and add forwards, multiply and add in the update."""

COLUMNS = {
    "network": "---",
    "dtype": "---",
    "system": "---",
    "time": "---:",
    "least to most": "---:",
    "time / numbabp's": "---:",
    "wanted": "---:",
    "sgemm share": "---:",
    "share wanted": "---:",
    "": "---",
    "note": "---",
}
HEADER = f"| {' | '.join(COLUMNS)} |\n|{'|'.join(COLUMNS.values())}|"


class Report:
    def __init__(self, environment, sgemm):
        self.environment, self.sgemm, self.rows = environment, sgemm, []
        print(", ".join(f"{name} {value}" for name, value in self.environment.items()), flush=True)
        print("sgemm, GFLOP/s: " + _sgemm_text(sgemm), end="\n\n")
        print(HEADER, flush=True)

    def add(self, network, dtype, system, times, unit, reference, share=None, note="", **more):
        """One system's times, (repeats,), beside numbabp's of the same repeats; `share` of the sgemm rate."""
        ratios = times / reference
        row = {
            "network": network,
            "dtype": dtype,
            "system": system,
            "unit": unit,
            **_spread("", times),
            **_spread("ratio_", ratios),
            "ratio_target": targets.ratio(system, network, dtype),
            "sgemm_share": None if share is None else float(np.median(share)),
            "sgemm_share_target": None if share is None else targets.share(system, network, dtype),
            "times": times.tolist(),
            "note": note,
            **more,
        }
        wanted = [
            (row["ratio_median"], row["ratio_target"]),
            (row["sgemm_share"], row["sgemm_share_target"]),
        ]
        checks = [value >= least for value, least in wanted if least is not None]
        row["passed"] = all(checks) if checks else None
        self._append(row)

    def refuse(self, network, dtype, system, reason, failed):
        """A row that says why there is no figure; one that failed counts as missed."""
        row = {"network": network, "dtype": dtype, "system": system, "note": reason}
        row["ratio_target"] = targets.ratio(system, network, dtype)
        self._append({**row, "passed": False if failed else None})

    def _append(self, row):
        self.rows.append(row)
        print(_markdown_row(row), flush=True)

    @property
    def missed(self):
        return [row for row in self.rows if row["passed"] is False]

    def write_json(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"environment": self.environment, "sgemm_gflops": self.sgemm, "rows": self.rows}
        path.write_text(json.dumps(content, indent=1) + "\n")

    def write_markdown(self, path, introduction, picture=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [introduction.strip(), ""]
        if picture:
            lines += [f"![Time of a step, by network and system]({picture})", ""]
        checked = [row for row in self.rows if row["passed"] is not None]
        lines += [f"{len(checked) - len(self.missed)} of {len(checked)} targets met.", ""]
        lines += [HEADER, *map(_markdown_row, self.rows), "", "Measured on", ""]
        lines += [f"- {name}: {value}" for name, value in self.environment.items()]
        lines += [f"- sgemm on one thread: {_sgemm_text(self.sgemm)} GFLOP/s"]
        path.write_text("\n".join(lines) + "\n")


def _spread(prefix, values):
    low, high = float(values.min()), float(values.max())
    return {prefix + "median": float(np.median(values)), prefix + "least": low, prefix + "most": high}


def _sgemm_text(rates):
    return ", ".join(f"{rate:.0f} (n={n})" for n, rate in rates.items())


def _markdown_row(row):
    cells = [row["network"], row["dtype"], row["system"]]
    wanted = row["ratio_target"]
    wanted = "" if wanted is None else f">= {wanted:.3g}"
    if "median" in row:
        share, share_wanted = row["sgemm_share"], row["sgemm_share_target"]
        cells += [
            f"{_figure(row['median'])} {row['unit']}",
            f"{_figure(row['least'])} to {_figure(row['most'])}",
            _figure(row["ratio_median"], 3),
            wanted,
            "" if share is None else f"{share:.3f}",
            "" if share_wanted is None else f">= {share_wanted:.2f}",
        ]
    else:
        cells += ["-", "", "", wanted, "", ""]
    verdict = {None: "", True: "pass", False: "MISS"}[row["passed"]]
    return "| " + " | ".join([*cells, verdict, row["note"]]) + " |"


def _figure(value, digits=4):
    return f"{value:,.{digits}g}" if value < 10**digits - 0.5 else f"{value:,.0f}"
