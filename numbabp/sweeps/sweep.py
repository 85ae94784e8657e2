"""`sweep`: networks of all combinations of a grid's values and seeds, checked and trained as a whole."""

import os
from pathlib import Path
from typing import Any

from ..checks.arguments import check_integer, check_path
from ..checks.population import check_memory
from ..options import check_names
from .groups import DEFAULTS, OF_ALL, OF_ARCHITECTURE, OF_STEPS, Group, check_seeds, combinations, grouped
from .result import Sweep


def sweep(
    grid: Any,
    X: Any,
    y: Any,
    *,
    seeds: Any = 1,
    random_state: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Sweep:
    """Train a network for every combination of a grid's values and every seed.

    Networks that differ in learning rate, momentum, L2 and seed alone are one `Population`; every population
    is checked and planned before the first is trained, those that take longest come first, and each takes
    all threads.

    Parameters
    ----------
    grid : dict of str to list, or list of such dicts
        Values to try of any arguments of `Population`, such as layer_sizes, hidden_activation, loss and init,
        and of `Population.fit` that say how to train: learning_rate, l2, update_rule, batch_size, epochs, ...
        Of several dicts each gives its own combinations.
    X, y
        As for `Population.fit`.
    seeds : int or sequence of int
        So many networks of each combination, of seeds 0, 1, 2, ..., or the seeds. They draw the initial
        weights: each network is trained as ``Network(..., random_state=seed).fit(..., random_state=...)`` is
        with the sweep's `random_state`.
    random_state : int
        Draws the order of samples, which is the same for all but with own_order.
    checkpoint : str or path-like, optional
        A folder, made if it is not there, in which each population is kept in a file of its own: the same
        call, or one with further values of architectures and ways to train, goes on from what is there.
    **options
        Values of further arguments of `Population` and `Population.fit` for all networks: layer_sizes, loss,
        epochs, validation_data, early_stopping, sample_weight, client, device, n_threads, ...

    Returns
    -------
    Sweep
        ``sweep.to_frame()`` is a table with a row for each network, ``sweep.best()`` the best one.

    Raises
    ------
    ValueError, TypeError
        For what is not allowed, naming it, before anything is trained.
    MemoryError
        If the networks would not fit into memory.
    KeyboardInterrupt
        On Ctrl-C; with a checkpoint the same call goes on.

    Examples
    --------
    >>> import numbabp as nbp
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> grid = {"layer_sizes": [(2, 3, 1), (2, 10, 1)], "learning_rate": [0.3, 1.0]}
    >>> found = nbp.sweep(grid, X, y, seeds=16, epochs=1000, loss="binary_cross_entropy")
    >>> found
    <Sweep: 64 networks in 2 populations, ...>
    >>> found.best().predict(X)
    array([0, 1, 1, 0])
    """
    check_names("sweep", options, {*OF_ARCHITECTURE, *OF_STEPS, *OF_ALL}, ("seeds", "random_state"))
    random_state = check_integer("random_state", random_state, minimum=0)
    settings = combinations(grid)
    varied = list(dict.fromkeys(name for setting in settings for name in setting))
    for name in varied:
        if name in options:
            raise ValueError(f"{name} is in the grid and given for all networks, {options[name]!r}.")
    fixed = {name: value for name, value in options.items() if name not in OF_ALL}
    groups = grouped(settings, fixed, check_seeds(seeds))
    of_all = {name: value for name, value in options.items() if name in OF_ALL}
    folder = None if checkpoint is None else Path(check_path("checkpoint", checkpoint))
    for group in _longest_first(groups, X, of_all):
        group.fit(X, y, random_state=random_state, **of_all, **_kept(folder, group, random_state))
    return Sweep(groups, varied)


def _longest_first(groups: list[Group], X: Any, of_all: dict[str, Any]) -> list[Group]:
    """Those that are predicted to take longest first; each is made, checked and planned."""
    where = {name: of_all[name] for name in ("device", "n_threads", "client", "chunk_size") if name in of_all}
    for group in groups:
        if "layer_sizes" not in group.common:
            raise ValueError("layer_sizes is missing: give it in the grid or for all networks.")
    epochs = max(group.common.get("epochs", DEFAULTS["epochs"]) for group in groups)
    n_networks = sum(map(len, groups))
    # losses and accuracies, of validation too
    check_memory(n_networks, 8 * 4 * epochs, "histories", "; take fewer seeds, values or epochs")
    seconds = [group.make().plan(X, **group.arguments, **where).seconds for group in groups]
    return [group for _, group in sorted(zip(seconds, groups, strict=True), key=lambda pair: -pair[0])]


def _kept(folder: Path | None, group: Group, random_state: int) -> dict[str, Any]:
    """Arguments of `Population.fit` for a checkpoint in the folder, named by what is trained there."""
    if folder is None:
        return {}
    folder.mkdir(exist_ok=True)
    sizes = "-".join(map(str, group.common["layer_sizes"]))
    return {"checkpoint": folder / f"{sizes}.{group.digest}.{random_state}.safetensors"}
