"""Kernels made ready: each with the arrays it works on, behind one call that training repeats."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...compiler.arrays import LINE, aligned_zeros
from ...devices.processor import blas_threads
from ...kernels.general import ROWS_SIZE, train_general
from ...kernels.layout import BY_ROWS, DELAYED, FAN_OUT, FORM, n_units, transpose_layout
from ...kernels.sequential import train_sgd
from ...kernels.state import STEP, Model, Run, Samples

if TYPE_CHECKING:
    from ...network import Network
    from ...options import Options
    from ...planning.planner import Plan


@dataclass(frozen=True)
class Engine:
    """A kernel on one network and one set of samples."""

    model: Model
    advance: Callable[[int, int], int]
    """advance(stop_epoch, max_samples) trains on and returns the kernel's status."""
    state: tuple[np.ndarray, ...] = ()
    """What else `advance` changes."""
    catch_up: Callable[[], None] = lambda: None
    """Takes what steps `advance` has put off, and brings the parameters to the network to be looked at."""
    may_overflow: Callable[[float], bool] = lambda learning_rate: False
    """Whether finite parameters may have put off steps to infinity."""
    device: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Makes the device that the model lies on the current one."""
    reread: Callable[[], None] = lambda: None
    """Takes the network's parameters, after others than `advance` may have changed them."""


def make_engine(
    plan: "Plan", network: "Network", moments: np.ndarray, samples: Any, options: "Options", run: Run
) -> Engine:
    """The engine that a plan asks for."""
    if plan.device != "cpu":
        from .network_cuda import make_cuda_engine  # numba-cuda only for those who use it

        return make_cuda_engine(plan, network, moments, samples, options, run)
    make = {
        "sequential": _sequential,
        "general": _general,
        "blocked": _blocked,
        "tiny": _tiny,
        "sparse": _sparse,
    }
    return make[plan.kernel](plan, network, moments, samples, options, run)


def _sequential(
    plan: "Plan", network: "Network", moments: np.ndarray, samples: Samples, options: "Options", run: Run
) -> Engine:
    layout, scratch_size = transpose_layout(network.layout)
    model = _model(network, moments, layout, scratch_size)
    rule, updated = options.rule, options.propagate == "updated"

    def advance(stop_epoch: int, max_samples: int) -> int:
        return train_sgd(model, samples, rule, run, updated, stop_epoch, max_samples)

    return Engine(model, advance)


def _tiny(
    plan: "Plan", network: "Network", moments: np.ndarray, samples: Samples, options: "Options", run: Run
) -> Engine:
    from ...kernels.tiny import make_train_tiny

    n_inputs, n_hidden, n_outputs = network.layer_sizes
    updated = options.propagate == "updated"
    train_tiny = make_train_tiny(
        (n_inputs, n_hidden, n_outputs),
        network.activations,
        network.loss,
        network.dtype.name,
        updated,
        options.l2 > 0,
    )
    model = _model(network, moments, network.layout, 0)
    rule = options.rule

    def advance(stop_epoch: int, max_samples: int) -> int:
        return train_tiny(model, samples, rule, run, updated, stop_epoch, max_samples)

    return Engine(model, advance)


def _general(
    plan: "Plan", network: "Network", moments: np.ndarray, samples: Samples, options: "Options", run: Run
) -> Engine:
    rule, batch_size = options.rule, options.batch_size
    size = network.n_parameters
    if batch_size == 1 and rule.clip_norm == 0:  # some rows at a time
        size = min(size, int(ROWS_SIZE) + 2 * max(network.layer_sizes))
    model = _model(network, moments, network.layout, 0, gradient_size=size)

    def advance(stop_epoch: int, max_samples: int) -> int:
        return train_general(model, samples, rule, run, batch_size, stop_epoch, max_samples)

    return Engine(model, advance)


def _blocked(
    plan: "Plan", network: "Network", moments: np.ndarray, samples: Samples, options: "Options", run: Run
) -> Engine:
    from ...kernels.blocked import Block, train_blocked  # compiled for those who need it

    layout, scratch_size = transpose_layout(network.layout)
    layout[0, FORM] = BY_ROWS  # its products are BLAS's
    layout[list(plan.delayed_layers), FORM] = DELAYED
    model = _model(network, moments, layout, scratch_size)
    length, width = plan.block_length, int(layout[0, FAN_OUT])
    dtype = network.dtype
    # rows a multiple of a page apart would share the cache's few places for such addresses
    row = n_units(layout)
    row += LINE // dtype.itemsize if row * dtype.itemsize % 4096 == 0 else 0
    units = aligned_zeros((3, length, row), dtype)
    block = Block(
        units[0],
        units[1],
        units[2],
        aligned_zeros((length, length), dtype),
        aligned_zeros((length, width) if moments.size else (0, 0), dtype),
        np.zeros((length + 1, 6)),
        np.zeros(plan.sub_block, dtype),
        np.zeros(length, np.int64),
    )
    rule, updated = options.rule, options.propagate == "updated"

    def advance(stop_epoch: int, max_samples: int) -> int:
        with blas_threads(plan.n_threads):
            return train_blocked(model, samples, rule, run, block, updated, stop_epoch, max_samples)

    return Engine(model, advance)


def _sparse(
    plan: "Plan", network: "Network", moments: np.ndarray, samples: Any, options: "Options", run: Run
) -> Engine:
    from ...kernels.sparse import catch_up, grows, lazy_state, sparse_layout, train_sparse

    model = _model(network, moments, *sparse_layout(network.layout))
    rule = options.rule
    lazy = lazy_state(rule, network.n_inputs, len(samples.order), int(run.position[STEP]))

    def advance(stop_epoch: int, max_samples: int) -> int:
        return train_sparse(model, samples, rule, run, lazy, stop_epoch, max_samples)

    if lazy.taken.size == 0:
        return Engine(model, advance)
    return Engine(
        model,
        advance,
        (lazy.taken,),
        lambda: catch_up(model, rule, run, lazy),
        lambda learning_rate: grows(rule, learning_rate),
    )


def _model(
    network: "Network", moments: np.ndarray, layout: np.ndarray, scratch_size: int, gradient_size: int = 0
) -> Model:
    dtype = network.dtype
    return Model(
        network.parameters,
        moments,
        np.zeros(gradient_size, dtype),
        aligned_zeros((3, n_units(layout)), dtype),
        np.empty(scratch_size, dtype),
        layout,
        network.loss_code,
    )
