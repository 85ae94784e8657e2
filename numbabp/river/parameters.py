"""What both estimators have in common: their parameters, and what is done for many rows."""

import inspect
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeVar

from ..network import Network
from .inputs import Inputs
from .settings import check_settings
from .stream import Stream

Class = TypeVar("Class", bound=type)

PARAMETERS = """\
Features are numbers, texts, or missing (None, NaN, or not in the dict), and may appear and stay away at any
time, as classes may appear. Every row is one step of the network; nothing is kept of it.

Parameters
----------
hidden_layer_sizes : tuple of int
    Units of each hidden layer; () makes a linear model.
activation : str
    Of the hidden layers: identity, logistic (or sigmoid), tanh, relu, leaky_relu, elu, softplus, silu, gelu.
solver : {"adagrad", "rmsprop", "adam", "adamw", "sgd", "momentum", "nesterov"}
    Update rule (`numbabp.kernels.update_rules`). Steps of adagrad shrink with what has been learnt; where a
    stream drifts, rmsprop and adam go on with long ones.
learning_rate : float or "auto"
    "auto" is 0.6 / sqrt(q) for adagrad, 0.02 / sqrt(q) for rmsprop, adam and adamw, 0.5 / q for sgd, and a
    tenth of it for momentum and nesterov. q is the running mean of 1 + the sum over the features that a row
    has of what their squares are on average: 1 if standardised, else their own squares, with rows of text 1.
    That is the scale of Ross, Mineiro and Langford 2013, "Normalized Online Learning"; later rows count more
    in it, the t-th as t^3, so that what a stream begins with is forgotten.
l2 : float
    Penalty on weights, in every step.
text : {"onehot", "hash"}
    An input for each text of each feature, as it appears; or `n_hashed` inputs in all, each text with its
    feature hashed into one of them, which may fall together there. Then memory has a bound.
n_hashed : int
    Inputs for text="hash".
standardize : bool
    Whether numbers are standardised, by mean and standard deviation of all rows so far that have the feature,
    of which the t-th counts as t^3, before each is learnt from. A missing feature is at its mean, 0; one that
    less than half of the rows since its first one have, or that is the same wherever it comes, as words are,
    is not centred, but divided by its root mean square. Without, missing features are 0.
dtype : {"float64", "float32"}
    Of the network.
seed : int, optional
    Of the initial weights."""


class OfStreams:
    """The constructor of both, and what it makes."""

    _loss: str

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (32,),
        activation: str = "relu",
        solver: str = "adagrad",
        learning_rate: float | str = "auto",
        l2: float = 0.0,
        text: str = "onehot",
        n_hashed: int = 256,
        standardize: bool = True,
        dtype: str = "float64",
        seed: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.learning_rate = learning_rate
        self.l2 = l2
        self.text = text
        self.n_hashed = n_hashed
        self.standardize = standardize
        self.dtype = dtype
        self.seed = seed
        settings = check_settings(self, self._loss)
        inputs = Inputs(n_hashed if text == "hash" else 0, standardize, settings.dtype)
        self._stream = Stream(settings, inputs, seed)

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        """Parameters that River's checks are to take."""
        yield {}
        yield {"hidden_layer_sizes": (4, 3), "activation": "tanh", "solver": "sgd", "text": "hash"}

    @property
    def network(self) -> Network | None:
        """The network as it is, with room for more inputs and outputs; None before the first row."""
        growing = self._stream.growing
        return None if growing is None else growing.network

    def learn_many(self, X: Any, y: Any) -> None:
        """Learn from the rows of a table, one after the other as `learn_one` does.

        Parameters
        ----------
        X : pandas.DataFrame
            A column a feature.
        y : pandas.Series
            A target a row.
        """
        for x, target in zip(rows_of(X), y, strict=True):
            self.learn_one(x, target)

    def predict_many(self, X: Any) -> Any:
        """What `predict_one` gives for each row of a table: a Series with the index of X."""
        import pandas as pd

        return pd.Series([self.predict_one(x) for x in rows_of(X)], index=X.index)

    def learn_one(self, x: Mapping[Hashable, Any], y: Any, w: float = 1.0) -> None:
        """Learn from one row."""
        raise NotImplementedError

    def predict_one(self, x: Mapping[Hashable, Any]) -> Any:
        """Predict the target of one row."""
        raise NotImplementedError


def rows_of(X: Any) -> Iterator[dict[Hashable, Any]]:
    """Rows of a pandas DataFrame as dicts."""
    columns = list(X.columns)
    for row in X.itertuples(index=False, name=None):
        yield dict(zip(columns, row, strict=True))


def documented(of: Class) -> Class:
    """Put the description of the parameters behind the first paragraph of a class's docstring."""
    first, rest = inspect.cleandoc(of.__doc__ or "").split("\n\n", 1)
    of.__doc__ = f"{first}\n\n{PARAMETERS}\n\n{rest}"
    return of
