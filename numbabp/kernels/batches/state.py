"""What kernels for mini-batches work on: model, samples and rule.

Parameters are one vector, all weights first, layer by layer and row by row, then all biases: the order in
which scikit-learn hands them to L-BFGS.
"""

from typing import NamedTuple

import numpy as np

# Columns of a layout.
FAN_IN, FAN_OUT, WEIGHTS, BIASES, UNITS, ACTIVATION = range(6)
# Output activations and hidden ones, by scikit-learn's names; the losses go with the former.
IDENTITY, LOGISTIC, TANH, RELU, SOFTMAX, EXP = range(6)
ACTIVATIONS = {
    "identity": IDENTITY,
    "logistic": LOGISTIC,
    "tanh": TANH,
    "relu": RELU,
    "softmax": SOFTMAX,
    "exp": EXP,
}
SGD, MOMENTUM, NESTEROV, ADAM = range(4)


class Model(NamedTuple):
    """What is trained, with T its dtype and B the largest batch; a row of the layout is a layer's."""

    parameters: np.ndarray  # T (n_parameters,)
    first: np.ndarray  # T (n_parameters,), velocity or adam's first moment; (0,) without
    second: np.ndarray  # T (n_parameters,), adam's second moment; (0,) without
    gradient: np.ndarray  # T (n_parameters,), of a batch, not yet divided by its number of samples
    units: np.ndarray  # T (B (n_inputs + ... + n_outputs),), activations of a batch, a layer after the other
    deltas: np.ndarray  # T (B (n_units of all layers),), dLoss/dz
    layout: np.ndarray  # int64 (n_layers, 6): fan-in, fan-out, offsets of weights, biases, units; activation


class Data(NamedTuple):
    """The training data; inputs are dense or, where there are starts, in compressed sparse rows."""

    inputs: np.ndarray  # T (n, n_inputs), or (0, n_inputs)
    values: np.ndarray  # T (n_nonzeros,)
    columns: np.ndarray  # int32 (n_nonzeros,)
    starts: np.ndarray  # int64 (n + 1,); (0,) for dense inputs
    targets: np.ndarray  # T (n, n_outputs)
    weights: np.ndarray  # T (n,), or (0,) where every sample weighs 1
    order: np.ndarray  # int64 (n,), or (0,) for the samples as they stand


class Rule(NamedTuple):
    """An update rule with its numbers."""

    code: int
    rate: float
    momentum: float
    beta_1: float
    beta_2: float
    epsilon: float
    alpha: float
