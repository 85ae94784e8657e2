"""How one network may be trained on a GPU: by one block with its weights in shared memory, or in blocks."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..devices.memory import Device
from ..kernels.cuda.blocked.geometry import MAX_LENGTH, MAX_OUTPUTS
from .cuda_costs import ns_per_blocked_step, transfer_seconds
from .planner import Plan
from .population_cuda import RULES, Mapping, architecture_of, mappings

if TYPE_CHECKING:
    from ..network import Network
    from ..options import Options

BLOCK_LENGTHS = (16, 32, 64, 128)
"""Of blocks of samples that are considered; any other up to `MAX_LENGTH` may be asked for."""


def gpu_candidates(
    network: "Network", n_samples: int, options: "Options", gpu: Device, has_data: bool
) -> Iterator[Plan]:
    """Every plan with its prediction, or with `why_not` where the options or the network rule it out.

    `has_data` says that the samples lie on the GPU; otherwise they are copied.
    """
    device, dtype, itemsize = f"cuda:{gpu.index}", network.dtype.name, network.dtype.itemsize
    has_moments = options.update_rule != "sgd"
    samples = 0 if has_data else n_samples * (network.n_inputs + network.n_outputs)
    beside = transfer_seconds(itemsize * (samples + 2 * network.n_parameters * (1 + has_moments)))
    flops, n_bytes = 4.0 * network.n_weights, 3.0 * itemsize * network.n_weights

    lengths = BLOCK_LENGTHS if options.block_length is None else (options.block_length,)
    why = _why_not_blocked(network, options)
    if why:
        yield Plan(device, "blocked", dtype, lengths[0], lengths[0], why_not=why)
    else:
        hidden = tuple(range(1, network.n_layers))
        for length in lengths:
            ns = ns_per_blocked_step(network.layer_sizes, itemsize, length, has_moments, gpu)
            yield Plan(device, "blocked", dtype, length, length, hidden, 1, ns, flops, n_bytes, beside)

    mapping = _persistent(network, options, gpu)
    if isinstance(mapping, str):
        yield Plan(device, "persistent", dtype, why_not=mapping)
    else:
        ns = mapping.seconds(gpu, 1, 1) * 1e9
        yield Plan(
            device, "persistent", dtype, ns_per_step=ns, flops=flops, bytes=n_bytes, seconds_beside=beside
        )


def _why_not_blocked(network: "Network", options: "Options") -> str:
    what = _never_on_gpu(options)
    if not what and network.n_outputs > MAX_OUTPUTS:
        what = f"an output layer of {network.n_outputs}, more than {MAX_OUTPUTS},"
    if not what and options.block_length is not None and options.block_length > MAX_LENGTH:
        what = f"block_length={options.block_length}, more than {MAX_LENGTH},"
    what = what or options.not_linear or ""
    return f"{what} is not possible on a GPU in blocks" if what else ""


def _persistent(network: "Network", options: "Options", gpu: Device) -> Mapping | str:
    """How one block trains it, or why not."""
    what = _never_on_gpu(options)
    others = set(options.monitor) - {"accuracy"}
    if not what and options.block_length is not None:
        what = f"block_length={options.block_length}"
    if not what and options.update_rule not in RULES:
        what = f"update_rule={options.update_rule!r}"
    if not what and options.alters_gradient:
        what = f"{options.alters_gradient}={getattr(options, options.alters_gradient)!r}"
    if not what and others:
        what = f"monitor={tuple(sorted(others))}"
    if what:
        return f"{what} is not possible on a GPU in one block"
    return mappings(architecture_of(network, options, options.l2 > 0, False), gpu)["block"]


def _never_on_gpu(options: "Options") -> str:
    """What no kernel for one network on a GPU does, if it is asked for."""
    if options.propagate == "updated":
        return "propagate='updated'"
    return "" if options.kernel in ("auto", "blocked", "persistent") else f"kernel={options.kernel!r}"
