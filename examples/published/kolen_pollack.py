"""How XOR's convergence depends on initial weights, after Kolen and Pollack 1990: 100,000 networks at once.

    python examples/published/kolen_pollack.py [--networks 100000] [--epochs 2000] [--plot kolen_pollack.png]

J. F. Kolen and J. B. Pollack, "Backpropagation is Sensitive to Initial Conditions", Complex Systems 4(3),
1990, 269-280, and NIPS 3, 860-867, trained networks 2-2-1 on XOR by backpropagation from many initial
weights, and asked which converge within t epochs: that depends strongly on how large the weights are, and
the border of those that do, in the space of weights, is anything but smooth.

Two experiments, of so many networks each:

- Weights and biases are drawn uniformly from [-r, r] for 20 values of r. The same draws are trained with
  each of 12 pairs of a learning rate and a momentum, all of them as one population: it takes rates and
  momenta of its own for every network.
- Two of the nine weights go through a plane, the other seven stay what they are: how many epochs until a
  network has converged? Nothing is left to chance but those seven.

Squared error, sigmoid units, a step after every sample, always in the same order. A network has converged
when each output is within 0.4 of its target, the criterion of Fahlman 1988; that is looked at every 20
epochs, for the plane every 5. These settings are this script's, and not the paper's; the seven fixed weights
are the one of five draws with most of a structure.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import numbabp as nbp

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
Y = np.array([0, 1, 1, 0], np.float32)
SIZES, N_WEIGHTS = (2, 2, 1), 9
LARGEST = np.linspace(0.5, 10, 20)
"""Largest initial weight."""
RATES, MOMENTA = (0.5, 1, 2, 4), (0, 0.5, 0.9)
LOOK_EVERY, IN_PLANE_EVERY = 20, 5
IN_PLANE = 0, 3
"""Places in a row of parameters: from input 1 to hidden unit 1, and from input 2 to hidden unit 2."""
OF_PLANE = {"learning_rate": 3, "momentum": 0.8}
ACROSS, UPWARDS = (-10, 10), (0, 10)
"""What those two weights go through."""


def epochs_until_converged(parameters, epochs, every, **settings):
    """After how many epochs each network has converged first, inf for those that have not.

    `parameters` are a row for each network, shape (n_networks, 9); they are looked at `every` epochs.
    """
    population = nbp.Population(
        SIZES, len(parameters), output_activation="sigmoid", init="zeros", dtype="float32"
    )
    population.parameters[:] = parameters
    first = np.full(len(parameters), np.inf)
    for n in range(every, epochs + 1, every):
        # goes on from the last look, with the steps that momentum remembers
        how = {"update_rule": "momentum", "epochs": every, "shuffle": False, "progress": False}
        population.fit(X, Y, **how, **settings)
        outputs = population.forward(X)[:, :, 0]
        converged = (np.abs(outputs - Y) < 0.4).all(axis=1)
        first[converged & np.isinf(first)] = n
    return first


def by_size(n_networks, epochs):
    """Epochs until convergence, shape (rates, momenta, sizes of weights, draws)."""
    n_draws = max(1, n_networks // (len(RATES) * len(MOMENTA) * len(LARGEST)))
    unit = np.random.default_rng(0).uniform(-1, 1, (len(LARGEST), n_draws, N_WEIGHTS))
    shape = len(RATES), len(MOMENTA), len(LARGEST), n_draws
    drawn = np.broadcast_to(LARGEST[:, None, None] * unit, (*shape, N_WEIGHTS))
    rates, momenta = (
        np.broadcast_to(values, shape).ravel()
        for values in (np.reshape(RATES, (-1, 1, 1, 1)), np.reshape(MOMENTA, (-1, 1, 1)))
    )
    found = epochs_until_converged(
        drawn.reshape(-1, N_WEIGHTS), epochs, LOOK_EVERY, learning_rate=rates, momentum=momenta
    )
    return found.reshape(shape)


def over_plane(n_networks, epochs, seed=4):
    """Epochs until convergence of networks over a plane of two weights, shape (side, side)."""
    side = int(n_networks**0.5)
    parameters = np.tile(np.random.default_rng(seed).uniform(-10, 10, N_WEIGHTS), (side, side, 1))
    parameters[:, :, IN_PLANE[0]] = np.linspace(*ACROSS, side)
    parameters[:, :, IN_PLANE[1]] = np.linspace(*UPWARDS, side)[:, None]
    rows = parameters.reshape(-1, N_WEIGHTS)
    return epochs_until_converged(rows, epochs, IN_PLANE_EVERY, **OF_PLANE).reshape(side, side)


def cliffs(first):
    """Share of the pairs of neighbours in the plane of which one takes more than twice the other's epochs."""
    pairs = [(first[:, 1:], first[:, :-1]), (first[1:], first[:-1])]
    larger, smaller = (
        np.concatenate([f(one, other).ravel() for one, other in pairs]) for f in (np.maximum, np.minimum)
    )
    return (larger > 2 * smaller).mean()


def show(first, epochs):
    """A table: percent that have not converged, by size of the weights, rate and momentum."""
    pairs = [(i, j) for j in range(len(MOMENTA)) for i in range(len(RATES))]
    print(f"\npercent not converged after {epochs:,} epochs")
    print("momentum    " + "".join(f"{MOMENTA[j]:7}" for _, j in pairs))
    print("rate        " + "".join(f"{RATES[i]:7}" for i, _ in pairs))
    for k, largest in enumerate(LARGEST):
        shares = [100 * (first[i, j, k] > epochs).mean() for i, j in pairs]
        print(f"r = {largest:4.1f}    " + "".join(f"{share:7.1f}" for share in shares))


def plot(first, plane, epochs, picture):
    """Percent that have not converged against the size of the weights, and the plane."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(15, 3.9), layout="constrained", width_ratios=(1, 1, 1, 1.35))
    looks = [("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "v")]
    for j, (axis, momentum) in enumerate(zip(axes, MOMENTA, strict=False)):
        for i, (rate, (colour, marker)) in enumerate(zip(RATES, looks, strict=True)):
            shares = 100 * (first[i, j] > epochs).mean(axis=1)
            axis.plot(LARGEST, shares, color=colour, marker=marker, ms=4, label=f"{rate}")
        axis.set(title=f"momentum {momentum}", xlabel="weights drawn from [-r, r]: r", ylim=(-3, 103))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(f"not converged after {epochs:,} epochs, %")
    axes[0].legend(title="learning rate", frameon=False)
    shown = np.where(np.isinf(plane), np.nan, plane)
    colours = plt.get_cmap("viridis").with_extremes(bad="black")
    norm = "log" if np.isfinite(plane).any() else None
    image = axes[3].imshow(
        shown, origin="lower", aspect="auto", extent=(*ACROSS, *UPWARDS), cmap=colours, norm=norm
    )
    axes[3].set(title="epochs until converged; black: not", xlabel="one weight", ylabel="another")
    axes[3].locator_params(axis="x", nbins=5)
    figure.colorbar(image, ax=axes[3])
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def timed(function, *arguments):
    """What it returns, and how long it took, in words."""
    started, processor = time.perf_counter(), time.process_time()
    result = function(*arguments)
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    return result, f"{seconds:.1f} s, {processor:.1f} s of the processor"


def main(n_networks=100_000, epochs=2000, picture=None):
    """Print both experiments; return epochs until convergence by size, and over the plane."""
    epochs_until_converged(np.ones((64, N_WEIGHTS)), 1, 1)  # compiles, or loads from the cache
    first, told = timed(by_size, n_networks, epochs)
    show(first, epochs)
    print(f"{first.size:,} networks, {first.size * epochs * len(X) / 1e6:,.0f} million steps in {told}")
    plane, told = timed(over_plane, n_networks, epochs // 5)
    found = plane[np.isfinite(plane)]
    print(f"\n{plane.size:,} networks over a plane, {epochs // 5} epochs, in {told}")
    print(f"converged: {found.size / plane.size:.1%}", end="")
    print(f", half of them within {np.median(found):.0f} epochs" if found.size else "")
    print(f"pairs of neighbours, one of which takes more than twice the other's epochs: {cliffs(plane):.1%}")
    if picture is not None:
        plot(first, plane, epochs, picture)
        print(f"wrote {picture}")
    return first, plane


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=100_000, help="of each experiment, some 100,000")
    parser.add_argument("--epochs", type=int, default=2000, help="that each network trains")
    parser.add_argument("--plot", type=Path, help="where to draw both; needs matplotlib")
    given = parser.parse_args()
    if given.networks < 240 or given.epochs < LOOK_EVERY:
        parser.error(f"--networks must be at least 240, --epochs at least {LOOK_EVERY}.")
    main(given.networks, given.epochs, given.plot)
