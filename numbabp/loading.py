"""Networks into files and back, and from other libraries' models."""

from typing import Any

import numpy as np

from . import storage
from .exchange import keras_models, torch_modules
from .exchange.stacks import Parts
from .network import Network
from .storage import PathLike
from .tensor_files import of_file
from .training.checkpoints.kept_state import Going, going_of


def save(network: Network, path: PathLike, metadata: Any = None, *, training_state: bool = True) -> None:
    """Write a network to a safetensors file.

    The file appears whole or not at all: it is written beside `path`, synced and renamed; an existing file is
    replaced only then.

    Parameters
    ----------
    network : Network
        What to save: architecture and parameters, bit for bit.
    path : str or path-like
        Where to.
    metadata : dict, optional
        Anything else worth keeping, as JSON takes it; `load_metadata` returns it.
    training_state : bool
        Keep the update rule's moments and steps, the random state and the history, with which a network that
        is loaded goes on as if it had never been saved. Without them the file is smaller, with adam by two
        thirds, and versions of numbabp before this one read it.

    Raises
    ------
    TypeError
        If `metadata` is not a dict or holds what JSON does not know.
    ValueError
        If a parameter or moment is not finite, if `metadata` holds NaN or infinity, or is longer than
        `tensor_files.MAX_HEADER_BYTES`; or if the random state is not NumPy's Mersenne Twister.
    OSError
        If the file can't be written; an existing one is left as it is.
    """
    network.save_with(path, metadata, training_state)


def load(path: PathLike) -> Network:
    """Read a network that `save` wrote.

    Parameters
    ----------
    path : str or path-like
        A safetensors file.

    Returns
    -------
    Network
        With the architecture and, bit for bit, the parameters that were saved; and the update rule's state,
        the random state and the history, if the file has them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not one that `save` wrote, is truncated or was altered; it says what is wrong.
    """
    return load_with_metadata(path)[0]


def load_metadata(path: PathLike) -> dict[str, Any]:
    """The `metadata` that a network was saved with; checks and errors as for `load`."""
    return load_with_metadata(path)[1]


def load_with_metadata(path: PathLike) -> tuple[Network, dict[str, Any]]:
    """Both of `load` and `load_metadata` in one go."""
    stored = storage.read_network(path)
    going = Going(np.random.RandomState(), None, None)
    if stored.kept is not None:
        with of_file(path):
            going = going_of(stored.kept, stored.architecture)
    network = Network.of(
        stored.architecture,
        stored.parameters,
        init=stored.init,
        random_state=going.random_state,
        history=going.history,
        rule_state=going.rule_state,
        inner=going.inner,
    )
    return network, stored.metadata


def from_torch(module: Any, loss: str | None = None) -> Network:
    """Network that computes what a PyTorch module does, and can be trained further.

    Parameters
    ----------
    module : torch.nn.Module
        A torch.nn.Linear, or a Sequential of Linear, activations, Dropout and further Sequentials, on any
        device, of float32 or float64. Its parameters are copied. Dropout, which does nothing after
        ``module.eval()``, is left out; a Linear without bias gets one of zero, which training changes.
    loss : str, optional
        To go on with, as for `Network`. By default the one that belongs to the output activation, else the
        squared error. A cross-entropy or poisson for a module that ends in a Linear gives the network the
        output activation that PyTorch's loss has in itself.

    Returns
    -------
    Network
        Of the module's dtype. What its optimizer carries along is not taken over.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    TypeError
        If the module is, or has, one that `Network` has no like of; it is named.
    ValueError
        If modules don't follow each other as layers do, an activation has other constants than numbabp's, or
        the loss doesn't go with the output activation.
    """
    return _network(torch_modules.of_module(module, loss))


def from_keras(model: Any, loss: str | None = None) -> Network:
    """Network that computes what a Keras model does, and can be trained further.

    Parameters
    ----------
    model : keras.Sequential
        Of Dense, Activation, ReLU, LeakyReLU, ELU and Softmax layers, Dropout, which is left out, and further
        Sequentials, of float32 or float64. Its weights are copied; a Dense layer without bias gets one of
        zero, which training changes.
    loss : str, optional
        As for `from_torch`; the one that the model was compiled with is not looked at.

    Returns
    -------
    Network
        Of the weights' dtype. What the model's optimizer carries along is not taken over.

    Raises
    ------
    ImportError
        If Keras is not installed.
    TypeError
        If the model has a layer or an activation that `Network` has no like of; it is named.
    ValueError
        If the model is not built, layers don't follow each other as `Network`'s do, an activation has other
        constants than numbabp's, or the loss doesn't go with the output activation.
    """
    return _network(keras_models.of_model(model, loss))


def from_sklearn(estimator: Any) -> Network:
    """Network of a multi-layer perceptron that scikit-learn has fitted.

    Parameters
    ----------
    estimator : sklearn.neural_network.MLPClassifier or MLPRegressor
        Or one of `numbabp.sklearn`. Its weights are copied.

    Returns
    -------
    Network
        With the loss, activations and dtype of the fit. Of a classifier its outputs are the probability of
        ``classes_[1]`` where there are two classes, else one for each class or label: `predict` gives places
        in ``classes_``. What the solver carries along is not taken over.

    Raises
    ------
    TypeError
        If it is another kind of estimator; of a pipeline pass the last step, with what the steps before make
        of X.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Examples
    --------
    >>> import numbabp as nbp
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier((10,), solver="lbfgs", max_iter=500, random_state=0).fit(X, y)
    >>> net = nbp.from_sklearn(clf)
    >>> bool(abs(net.forward(X) - clf.predict_proba(X)).max() < 1e-12)
    True
    """
    from .exchange import sklearn_estimators  # scikit-learn takes its time

    return _network(sklearn_estimators.of_estimator(estimator))


def _network(parts: Parts) -> Network:
    return Network.of(parts.architecture, parts.parameters)
