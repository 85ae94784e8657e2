"""Whether the planner picks well: its pick against the fastest of all its alternatives, measured.

    python benchmarks/plans.py [--markdown docs/plans.md] [--fit]

One row a network and dtype. Every plan that is possible is timed, in turn, the best of some repeats; the
pick is held to 1.15 times the fastest. --fit prints constants of the cost model fitted to these measurements.
Not an asv suite.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from numbabp.cli import calibration
from numbabp.planning.cpu_costs import this_machine

SHAPES = [
    *((2, 2, 1), (2, 10, 1), (4, 8, 3), (8, 16, 4), (10, 50, 1), (16, 16, 16, 4), (30, 10, 2), (30, 100, 2)),
    *((64, 10), (64, 32, 10), (64, 100, 10), (64, 64, 64, 10), (100, 200, 1), (128, 128, 10), (200, 50, 5)),
    *((256, 256, 10), (256, 64, 64, 10), (400, 25, 10), (500, 500, 1), (784, 10), (784, 32, 10)),
    *((784, 128, 10), (784, 128, 64, 10), (784, 512, 10), (784, 256, 256, 10), (1000, 100, 100)),
    *((1000, 1000, 10), (2000, 30, 2), (100, 500, 500, 10), (512, 512, 512, 512, 10), (3000, 100, 10)),
    (3000, 2000, 10),
]
LIMIT = 1.15


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    parser.add_argument("--dtypes", default="float32,float64")
    parser.add_argument("--rules", default="sgd")
    parser.add_argument("--seconds", type=float, default=0.02, help="length of one timing (default 0.02)")
    parser.add_argument("--fit", action="store_true", help="print constants fitted to the measurements")
    arguments = parser.parse_args()
    lines = [
        "| network | dtype | rule | picked | predicted | measured | fastest | measured | picked / fastest |",
        "|---|---|---|---|---:|---:|---|---:|---:|",
    ]
    print("\n".join(lines), flush=True)
    measurements, ratios = [], []
    for rule in arguments.rules.split(","):
        for dtype in arguments.dtypes.split(","):
            for sizes in SHAPES:
                of_this = calibration.time_plans(
                    sizes, dtype, update_rule=rule, seconds=arguments.seconds, repeats=5
                )
                measurements += of_this
                ((pick, fastest),) = calibration.picks(of_this)
                ratio = pick.ns_per_step / fastest.ns_per_step
                ratios.append(ratio)
                lines.append(
                    f"| {'-'.join(map(str, sizes))} | {dtype} | {rule} | {pick.plan.name} "
                    f"| {pick.plan.ns_per_step:,.0f} ns | {pick.ns_per_step:,.0f} ns | {fastest.plan.name} "
                    f"| {fastest.ns_per_step:,.0f} ns | {ratio:.2f}{'' if ratio <= LIMIT else ' MISS'} |"
                )
                print(lines[-1], flush=True)
    machine = this_machine()
    errors = [np.log(calibration.predict(machine, m) / m.ns_per_step) for m in measurements]
    lines += [
        "",
        f"Largest ratio {max(ratios):.2f}, mean {np.mean(ratios):.3f}; {sum(r > LIMIT for r in ratios)} of "
        f"{len(ratios)} above {LIMIT}. Error of the prediction over all {len(errors)} plans: "
        f"{100 * np.sqrt(np.mean(np.square(errors))):.0f} % (root mean square).",
    ]
    print("\n".join(lines[-2:]))
    if arguments.markdown:
        heading = "# The planner's picks\n\n`python benchmarks/plans.py --markdown docs/plans.md`\n\n"
        arguments.markdown.write_text(heading + "\n".join(lines) + "\n")
    if arguments.fit:
        fitted, error = calibration.fit(measurements, machine)
        constants = {name: float(f"{value:.3g}") for name, value in asdict(fitted).items()}
        print(f"fitted, error {100 * error:.0f} %: {constants}")
    sys.exit(max(ratios) > LIMIT)


if __name__ == "__main__":
    main()
