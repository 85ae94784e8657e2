"""The estimators' parameters: checks of them, and what they mean to a network."""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from ..architecture import check_quantile
from ..checks.arguments import check_bool, check_choice, check_integer, check_path, check_real
from ..devices import memory
from ..devices.exact_sums import rows_at_once, sum_of
from ..devices.placement import check_device, is_on_device
from ..functions.activations import HIDDEN_ACTIVATIONS
from ..functions.initializers import draw_biases
from ..functions.portable import power
from ..kernels.running.moments import HUGE, squared_length
from ..kernels.update_rules import OF_ALL_SAMPLES
from ..network import Network
from ..schedules import SCHEDULE_OPTIONS, learning_rates
from .targets import Targets
from .weights import column_means, excess, kept_share

LBFGS = "lbfgs"
SOLVERS = ("sgd", "adagrad", "rmsprop", "adam", "adamw", "rprop", LBFGS)
AUTO_BATCH_SIZE = 200
BIAS_INITS = ("uniform", "zeros")
LEAST_PENALTY = 1e-4
MOST_PENALTY = 0.02
WARMUP = 0.2
"""Part of the epochs in which the rate rises: XOR with a rate of 1 saturates its units without it."""
HIGHEST_RATE = 0.02
"""For plain steps, with a rate that falls to zero. Its mean is half of it."""
STEPS = 15_000
"""As many of this rate max_iter="auto" gives a small table,"""
LEAST_EPOCHS, MOST_EPOCHS = 40, 1000
"""within these limits."""
EPOCHS = 100
"""At most for a lower rate, and at least for other kinds of steps."""
ITERATIONS = 200
"""Of L-BFGS; scikit-learn's number."""


def check_parameters(model: BaseEstimator) -> None:
    """Raise a ValueError or TypeError that names a parameter which is not allowed.

    What depends on the targets, loss and output_activation, is checked with these.
    """
    check_choice("solver", model.solver, SOLVERS)
    hidden_activations(model, len(hidden_layer_sizes(model)))
    # a function of the epoch is checked by what it returns
    if not callable(model.learning_rate):
        check_choice("learning_rate", model.learning_rate, ("auto", *SCHEDULE_OPTIONS))
    check_choice("bias_init", model.bias_init, BIAS_INITS)
    _check_numbers(model)
    for name in ("standardize", "shuffle", "warm_start", "nesterovs_momentum", "early_stopping"):
        check_bool(name, getattr(model, name))
    check_device(model.device)
    if model.solver == LBFGS:
        _check_for_lbfgs(model)
    if model.checkpoint is not None:
        check_path("checkpoint", model.checkpoint)
    class_weight = getattr(model, "class_weight", None)  # regressors have none
    if not (class_weight is None or isinstance(class_weight, dict | list)):
        check_choice("class_weight", class_weight, ("balanced",))


def takes_epochs(model: BaseEstimator) -> bool:
    """Whether there is a `partial_fit`, for scikit-learn's `available_if`; raises for a solver without."""
    if model.solver == LBFGS:
        raise AttributeError(f"partial_fit takes an epoch, and solver={LBFGS!r} has none.")
    return True


def _check_for_lbfgs(model: BaseEstimator) -> None:
    """Raise for what would silently not be done; rates, batches and orders are what it has no use for."""
    if model.early_stopping:
        raise ValueError(
            "early_stopping=True goes with solvers that take epochs, but solver='lbfgs' takes iterations "
            "with all samples: set a larger alpha, or fewer iterations by max_iter."
        )
    if str(model.device).startswith("cuda"):
        raise ValueError(
            f"device={model.device!r} does not go with solver='lbfgs', which is on the CPU: take 'cpu'."
        )
    if model.checkpoint is not None:
        raise ValueError("checkpoint goes with solvers that take epochs, not with solver='lbfgs'.")


def _check_numbers(model: BaseEstimator) -> None:
    # four of them may be words
    if model.learning_rate_init != "auto":
        check_real("learning_rate_init", model.learning_rate_init, minimum=0, open_minimum=True)
    if model.batch_size != "auto":
        check_integer("batch_size", model.batch_size, minimum=1)
    if model.alpha != "auto":
        check_real("alpha", model.alpha, minimum=0)
    for name in ("power_t", "tol"):
        check_real(name, getattr(model, name), minimum=0)
    for name in ("momentum", "beta_1", "beta_2", "validation_fraction"):
        check_real(name, getattr(model, name), minimum=0, maximum=1, open_maximum=True)
    check_real("epsilon", model.epsilon, minimum=0, open_minimum=True)
    if model.max_iter != "auto":
        check_integer("max_iter", model.max_iter, minimum=1)
    check_integer("max_fun", model.max_fun, minimum=1)
    # infinity is scikit-learn's way to go on to the end, and a number its way to say more
    if model.n_iter_no_change != np.inf:
        check_integer("n_iter_no_change", model.n_iter_no_change, minimum=1)
    if not isinstance(model.verbose, bool | np.bool_):
        check_integer("verbose", model.verbose, minimum=0)


# The network.


def architecture_of(model: BaseEstimator, n_features: int, targets: Targets) -> dict[str, Any]:
    """What parameters and targets ask for, for `Network`."""
    hidden = hidden_layer_sizes(model)
    loss, output_activation = targets.loss_and_output(model.loss, model.output_activation)
    return {
        "layer_sizes": (n_features, *hidden, targets.n_outputs),
        "hidden_activation": hidden_activations(model, len(hidden)),
        "output_activation": output_activation,
        "loss": loss,
        "quantile": check_quantile(getattr(model, "quantile", 0.5), loss),  # classifiers have none
    }


def new_network(model: BaseEstimator, architecture: dict[str, Any], dtype: Any, generator: Any) -> Network:
    """A network with what the parameters say of its start."""
    network = Network(init=model.init, dtype=dtype, random_state=generator, **architecture)
    if model.bias_init == "uniform":
        draw_biases(network.biases, network.weights, network.random_state)
    return network


def hidden_layer_sizes(model: BaseEstimator) -> tuple[int, ...]:
    """Units of each hidden layer."""
    sizes = model.hidden_layer_sizes
    if not hasattr(sizes, "__iter__"):
        return (check_integer("hidden_layer_sizes", sizes, minimum=1),)
    return tuple(check_integer(f"hidden_layer_sizes[{i}]", size, minimum=1) for i, size in enumerate(sizes))


def hidden_activations(model: BaseEstimator, n_hidden: int) -> list[str]:
    """Names as `Network` has them, one a hidden layer."""
    allowed = (*HIDDEN_ACTIVATIONS, "logistic")
    given = model.activation
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        names = [check_choice("activation", given, allowed)] * n_hidden
    else:
        names = [check_choice(f"activation[{i}]", name, allowed) for i, name in enumerate(given)]
    if len(names) != n_hidden:
        raise ValueError(f"activation has {len(names)} names, but hidden_layer_sizes has {n_hidden} layers.")
    return ["sigmoid" if name == "logistic" else name for name in names]


# Its steps.


def batch_size_of(model: BaseEstimator, n_samples: int) -> int:
    """Samples a step."""
    if model.solver == LBFGS or (model.batch_size == "auto" and model.solver in OF_ALL_SAMPLES):
        return n_samples
    return min(AUTO_BATCH_SIZE if model.batch_size == "auto" else int(model.batch_size), n_samples)


def epochs_of(model: BaseEstimator, n_samples: int, rate: float = HIGHEST_RATE) -> int:
    """Epochs at most, for so many samples of some weight, of which `safe_rate` is the rate.

    What training comes to depends on the sum of its rates, so that few samples take more epochs than many,
    and so do outlying ones, which take low rates. Of tables with 700 rows and more, 40 epochs of a rate that
    rises and falls leave the scores of 100 as they are, up to 0.003; 25 do not. Large batches take fewer
    steps, and other solvers shorter ones. The rate that is asked for makes no difference: candidates of a
    search are to take as many.
    """
    if model.max_iter != "auto":
        return model.max_iter
    if model.solver == LBFGS:
        return ITERATIONS
    small = min(MOST_EPOCHS, math.ceil(STEPS / n_samples))
    if model.solver != "sgd" or batch_size_of(model, n_samples) > 1 or not rate_falls_to_zero(model):
        return max(EPOCHS, small)
    as_much = math.ceil(STEPS * HIGHEST_RATE / (rate * n_samples))
    return max(LEAST_EPOCHS, min(as_much, max(EPOCHS, small)))


def penalty_of(model: BaseEstimator, Y: Any, weights: Any, in_parts: bool) -> float:
    """The L2 penalty of a step, for encoded targets of samples of some weight.

    With alpha="auto" it grows with the number of columns to a sample, as the best penalty of a linear model
    does: that is noise / signal x columns / samples (Hoerl, Kennard and Baldwin 1975, "Ridge Regression: Some
    Simulations", Communications in Statistics 4), in units of the loss's curvature, which is 1 for squared
    error. For cross-entropy it is p (1 - p) at a class's frequency p, the mean over the outputs. It is no
    more than a small part of the loss, and less for a few samples, as of a truth table, which are to be
    learnt by heart. The numbers are the best of those tried on the tables of docs/tables.md that are not kept
    for checking. Nobody knows how many samples a stream has: many.
    """
    n_samples = len(Y)
    if model.alpha != "auto":
        return model.alpha / batch_size_of(model, n_samples)
    if in_parts:
        return LEAST_PENALTY
    of_each = 0.8
    if isinstance(model, ClassifierMixin):
        frequencies = column_means(Y, weights)
        of_each = 1.2 * float((frequencies * (1 - frequencies)).mean())
    return min(MOST_PENALTY, of_each * model.n_features_in_ / n_samples, LEAST_PENALTY * n_samples)


def run_options(model: BaseEstimator, n_samples: int, penalty: float) -> dict[str, Any]:
    """How to train a network by itself: `step_options`, the order of samples, and where."""
    return {
        "shuffle": bool(model.shuffle),
        "device": model.device,
        **step_options(model, n_samples, penalty),
    }


def step_options(model: BaseEstimator, n_samples: int, penalty: float) -> dict[str, Any]:
    """How to take a step, for `Network.fit` and `Network.partial_fit`."""
    rule = model.solver
    if rule == "sgd" and model.momentum > 0:
        rule = "nesterov" if model.nesterovs_momentum else "momentum"
    return {
        "batch_size": batch_size_of(model, n_samples),
        "update_rule": rule,
        "momentum": model.momentum,
        "beta_1": model.beta_1,
        "beta_2": model.beta_2,
        "epsilon": model.epsilon,
        "l2": penalty,
    }


# Its learning rates.


class Scale(NamedTuple):
    """What rates fall with that do not diverge; of one call's samples, or of all of a stream's so far.

    In a stream later rows count more, as in `Standardization`, so that its first ones do not fix its rate.
    """

    squares: float
    """Mean squared length of the inputs, as the network gets them."""
    largest: float
    """The largest of them; in a stream it is forgotten as the others are."""
    targets: float
    """Mean square of the targets."""
    excess: float
    """Of `weights.excess`."""
    rows: float
    """Sum of the weights."""

    @classmethod
    def of_row(cls, x: np.ndarray, targets: float) -> "Scale":
        """`scale_of` one dense row of weight 1."""
        square = squared_length(x[0], np.empty(x.shape[1]))
        return cls(square, square, min(targets, HUGE) ** 2, 1.0, 1.0)

    def merged(self, later: "Scale") -> "Scale":
        """With the rows of a stream that came later."""
        rows = self.rows + later.rows
        kept = kept_share(self.rows, rows)
        return Scale(
            later.squares + kept * (self.squares - later.squares),
            max(kept * self.largest, later.largest),
            later.targets + kept * (self.targets - later.targets),
            later.excess + kept * (self.excess - later.excess),
            rows,
        )


def scale_of(model: BaseEstimator, X: Any, targets: float, factors: Any, counted: Any) -> Scale:
    """The scale of samples as a network gets them.

    Parameters
    ----------
    targets
        By how much first rates are to be lower for the targets (`Targets.largeness`).
    factors
        Of the samples' gradients, or None for 1.
    counted
        Weights of the samples in a stream, or None for 1.
    """
    squares, n = squared_lengths(X), X.shape[0]
    return Scale(
        sum_of(squares, n),
        float(squares.max()),
        min(targets, HUGE) ** 2,
        excess(factors, n, batch_size_of(model, n)),
        float(n) if counted is None else sum_of(counted),
    )


def safe_rate(model: BaseEstimator, scale: Scale, in_parts: bool) -> float:
    """The largest rate of plain steps that does not diverge, for inputs as the network gets them, or a lower.

    A step changes its own sample's output by about rate x squared length of the inputs x residual, and
    overshoots, more each time, where that factor is over 2: of squared error one outlying row, or one of a
    rare value of a one-hot column, makes training diverge. Slopes of the other losses are bounded. (On 126
    tables with heavy tails, outliers and rare values, squared error diverged at factors from 3.4 up, most at
    ten or so, and not at 1.7.)
    """
    if not model.standardize and not in_parts:
        return HIGHEST_RATE / 2
    falls = schedule_name(model, in_parts) == "cosine"
    rate = HIGHEST_RATE if falls and model.standardize else HIGHEST_RATE / 2
    rate = min(rate, 1 / max(scale.squares, 1.0))
    if model.loss == "squared_error" and isinstance(model, RegressorMixin):
        rate = min(rate, 2 / max(scale.largest, 1.0))
    return rate


def first_rate(model: BaseEstimator, safe: float, scale: Scale) -> float:
    """What learning_rate_init="auto" means, where this is the `safe_rate`."""
    if model.solver == "sgd":
        # weights make some steps longer than others, which is the same as a higher rate
        lower = math.sqrt(scale.targets) * scale.excess
        return safe * (1 - model.momentum) / lower
    return {"adagrad": 0.01, "rprop": 0.1}.get(model.solver, 0.001)


def squared_lengths(X: Any) -> Any:
    """Of rows, which may be sparse or lie on a GPU: float64 (n,), where they lie, of the same bits."""
    if sparse.issparse(X):
        return np.asarray(X.multiply(X).sum(axis=1), dtype=float).ravel()
    lengths = (memory.empty if is_on_device(X) else np.empty)(len(X), np.float64)
    step = rows_at_once(X, X.shape[1])
    for start in range(0, len(X), step):
        rows = slice(start, start + step)
        lengths[rows] = _squared_lengths(X[rows])
    return lengths


def _squared_lengths(X: Any) -> Any:
    """Of dense rows: halves are added up, number by number, so that the order is the same everywhere."""
    squares, width = X.astype(np.float64), X.shape[1]
    with np.errstate(over="ignore"):
        squares *= squares
        while width > 1:
            half = width // 2
            squares[:, :half] += squares[:, width - half : width]
            width -= half
    return squares[:, 0]


def schedule_name(model: BaseEstimator, in_parts: bool = False) -> Any:
    """What learning_rate="auto" means, or what is asked for: how long a stream will be nobody knows."""
    if isinstance(model.learning_rate, str) and model.learning_rate == "auto":
        return "constant" if in_parts else "cosine"
    return model.learning_rate


def rate_falls_to_zero(model: BaseEstimator) -> bool:
    """Whether `fit` ends with its schedule and not by what the loss does."""
    return isinstance(model.learning_rate, str) and model.learning_rate in ("auto", "cosine")


def rates(
    model: BaseEstimator, first: int, epochs: int, n_samples: int, adapted: float, in_parts: bool = False
) -> np.ndarray:
    """Learning rates of `epochs` epochs from number `first` on; `adapted` is where "adaptive" has come to."""
    rate, name = model.learning_rate_init_, schedule_name(model, in_parts)
    if name == "adaptive":
        return np.full(epochs, adapted)
    if name == "invscaling":  # counts samples, as scikit-learn does
        return rate / power(model.t_ + 1.0 + n_samples * np.arange(epochs), model.power_t)
    if callable(name):
        return np.array([name(first + epoch) for epoch in range(epochs)], float)
    stop = first + epochs
    options = {**SCHEDULE_OPTIONS[name], **_schedule_options(model, name)}
    return learning_rates(name, options, rate, max(model.max_iter_, stop), (first, stop))


def schedule(model: BaseEstimator, n_samples: int) -> dict[str, Any]:
    """The rates of a new network's epochs, for `Population.fit`."""
    if model.learning_rate == "invscaling":
        options = {"power": model.power_t, "samples": n_samples}
        return {"schedule": "invscaling", "schedule_options": options}
    name = schedule_name(model)
    return {"schedule": name, "schedule_options": _schedule_options(model, name)}


def _schedule_options(model: BaseEstimator, name: Any) -> dict[str, float]:
    """What learning_rate="auto" adds to its schedule."""
    return {"warmup": WARMUP} if name == "cosine" and model.learning_rate == "auto" else {}
