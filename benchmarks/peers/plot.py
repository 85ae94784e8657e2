"""The picture: nanoseconds a step, a row of dots for each network."""

import importlib.util

STYLES = {  # system: colour, marker
    "numbabp": ("#d62728", "D"),
    "C": ("#1f1f1f", "o"),
    "C constant sizes": ("#7f7f7f", "o"),
    "C fastest build": ("#1f1f1f", "s"),
    "hand-written Numba": ("#ff9896", "d"),
    "JAX": ("#1f77b4", "o"),
    "JAX unrolled": ("#1f77b4", "d"),
    "JAX manual": ("#1f77b4", "s"),
    "FANN": ("#2ca02c", "^"),
    "Vowpal Wabbit": ("#8c564b", "v"),
    "NumPy": ("#bcbd22", "p"),
    "scikit-learn": ("#ff7f0e", "h"),
    "PyTorch eager": ("#9467bd", "o"),
    "PyTorch manual": ("#9467bd", "s"),
}


OFFSETS = {"numbabp": 0, "C": -0.24, "hand": -0.12, "JAX": 0.16, "NumPy": -0.14, "PyTorch": 0.14, "FANN": 0}
"""Of a family's rows up or down, so that systems of about the same time do not hide each other."""


def check():
    """Say at the start, not after ten minutes, that there is no matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        raise SystemExit("--plot and --publish need matplotlib: pip install matplotlib")


def write(report, path):
    """Plot the rows that are in ns/step; needs matplotlib."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    rows = [row for row in report.rows if row.get("unit") == "ns/step"]
    labels = list(dict.fromkeys((row["network"], row["dtype"]) for row in rows))
    figure, axes = pyplot.subplots(figsize=(9, 1.6 + 0.5 * len(labels)), dpi=150)
    for system, (colour, marker) in STYLES.items():
        offset = next((up for family, up in OFFSETS.items() if system.startswith(family)), 0)
        own = [row for row in rows if row["system"] == system]
        if not own:
            continue
        places = [labels.index((row["network"], row["dtype"])) for row in own]
        front = system == "numbabp"
        axes.plot(
            [row["median"] for row in own],
            [place + offset for place in places],
            linestyle="none",
            marker=marker,
            color=colour,
            markersize=9 if front else 7,
            markeredgecolor="white",
            markeredgewidth=0.6,
            alpha=1.0 if front else 0.9,
            zorder=4 if front else 3,
            label=system,
        )
    for place, label in enumerate(labels):
        medians = [row["median"] for row in rows if (row["network"], row["dtype"]) == label]
        axes.plot([min(medians), max(medians)], [place, place], color="#dddddd", linewidth=1.2, zorder=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(labels)), [f"{network}\n{dtype}" for network, dtype in labels], fontsize=9)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(lambda value, _: _time(value))
    axes.tick_params(axis="x", labelsize=10)
    axes.set_xlabel("time of a step (one sample: forward, backward, update), one thread", fontsize=10)
    axes.grid(axis="x", which="major", color="#eeeeee", zorder=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.legend(loc="upper center", ncols=4, fontsize=9, frameon=False)
    top = 1 - 0.8 / figure.get_size_inches()[1]
    figure.tight_layout(rect=(0, 0, 1, top))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)


def _time(nanoseconds):
    unit, size = next(pair for pair in (("ms", 1e6), ("µs", 1e3), ("ns", 0)) if nanoseconds >= pair[1])
    return f"{nanoseconds / (size or 1):g} {unit}"
