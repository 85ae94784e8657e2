"""PyTorch's modules: a network as a Sequential, and a Sequential as a network.

What the two libraries define alike is taken, and nothing that is nearly alike: numbabp's leaky_relu has slope
0.01, elu alpha 1, softplus beta 1, and gelu is the exact one. PyTorch's softplus is the line z beyond a
threshold, by default 20, which changes 1e-10 of a result; modules that are made here have it at 40, where
nothing of a float64 is left to change.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..functions.activations import LEAKY_RELU_SLOPE
from .peers import peer
from .stacks import IDENTITY, Parts, Stack

SOFTPLUS_THRESHOLD = 40.0
"""Of modules that are made."""
LEAST_SOFTPLUS_THRESHOLD = 20.0
"""Of those that are taken."""

OF_TORCH: dict[str, str] = {
    "Identity": IDENTITY,
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "Softplus": "softplus",
    "SiLU": "silu",
    "GELU": "gelu",
    "Softmax": "softmax",
}
"""Activations by the names of torch.nn's modules."""
WANTED: dict[str, tuple[str, tuple[Any, ...]]] = {
    "LeakyReLU": ("negative_slope", (LEAKY_RELU_SLOPE,)),
    "ELU": ("alpha", (1.0,)),
    "Softplus": ("beta", (1.0,)),
    "GELU": ("approximate", ("none",)),
    "Softmax": ("dim", (1, -1, None)),
}
"""Of modules with an argument that makes another function of them, its name and what it may be."""


def to_sequential(architecture: Architecture, parameters: np.ndarray) -> Any:
    """A torch.nn.Sequential with copies of parameters T (n_parameters,), on the CPU."""
    torch = peer("torch", "to_torch")
    made = {**{name: getattr(torch.nn, own) for own, name in OF_TORCH.items()}, **_with_arguments(torch)}
    modules: list[Any] = []
    for weights, biases, activation in zip(
        architecture.weights_of(parameters),
        architecture.biases_of(parameters),
        architecture.activations,
        strict=True,
    ):
        tensors = torch.from_numpy(weights.T.copy()), torch.from_numpy(biases.copy())
        linear = torch.nn.utils.skip_init(torch.nn.Linear, *weights.shape, dtype=tensors[0].dtype)
        linear.weight, linear.bias = (torch.nn.Parameter(tensor) for tensor in tensors)
        modules.append(linear)
        if activation != IDENTITY:
            modules.append(made[activation]())
    return torch.nn.Sequential(*modules)


def _with_arguments(torch: Any) -> dict[str, Callable[[], Any]]:
    from .torch_exp import Exp

    return {
        "softplus": lambda: torch.nn.Softplus(threshold=SOFTPLUS_THRESHOLD),
        "softmax": lambda: torch.nn.Softmax(dim=-1),
        "exp": Exp,
    }


def of_module(module: Any, loss: str | None) -> Parts:
    """What a torch.nn.Linear, or a Sequential of such, of activations and of Sequentials, computes.

    Raises
    ------
    TypeError
        If it is no module, or one of another kind, is in it.
    ValueError
        If it has no network's shape, or an activation has other constants.
    """
    torch = peer("torch", "from_torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {module!r} of type {type(module).__name__}.")
    stack = Stack()
    for where, part in _in_order(torch, "module", module):
        kind = type(part)
        named = f"{where}, {kind.__name__},"
        if kind is torch.nn.Linear:
            biases = None if part.bias is None else _array(named, part.bias)
            stack.dense(named, _array(named, part.weight).T, biases)
        elif kind in (torch.nn.Dropout, torch.nn.AlphaDropout):
            if part.training and part.p > 0:
                raise ValueError(f"{named} drops units while it trains; call module.eval() before.")
        else:
            stack.activation(named, _activation(torch, named, part))
    return stack.parts("module", loss)


def _in_order(torch: Any, where: str, module: Any) -> Iterator[tuple[str, Any]]:
    """Modules that are no Sequentials, and where they are."""
    if not isinstance(module, torch.nn.Sequential):
        yield where, module
        return
    if type(module).forward is not torch.nn.Sequential.forward:
        raise TypeError(f"{where}, {type(module).__name__}, has a forward of its own, not Sequential's.")
    for i, part in enumerate(module):
        yield from _in_order(torch, f"{where}[{i}]", part)


def _activation(torch: Any, named: str, module: Any) -> str:
    """Of a module that is one of numbabp's activations."""
    from .torch_exp import Exp

    name = type(module).__name__
    if type(module) is Exp:
        return "exp"
    if type(module) is not getattr(torch.nn, name, None) or name not in OF_TORCH:
        names = ", ".join(["Linear", *OF_TORCH, "Dropout", "Sequential"])
        raise TypeError(f"{named} is not known; allowed: {names}.")
    if name in WANTED:
        argument, allowed = WANTED[name]
        value = getattr(module, argument)
        if value not in allowed:
            told = " or ".join(map(repr, allowed))
            raise ValueError(f"{named} has {argument}={value!r}; {argument} of numbabp's is {told}.")
    if name == "Softplus" and module.threshold < LEAST_SOFTPLUS_THRESHOLD:
        raise ValueError(
            f"{named} is a line beyond threshold={module.threshold!r}, where numbabp's is none; the "
            f"threshold must be at least {LEAST_SOFTPLUS_THRESHOLD:g}."
        )
    return OF_TORCH[name]


def _array(named: str, tensor: Any) -> np.ndarray:
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) not in ("torch.float32", "torch.float64"):
        raise ValueError(
            f"{named} has parameters of {tensor.dtype}; allowed: torch.float32, torch.float64, as "
            "module.float() makes them."
        )
    return tensor.numpy()
