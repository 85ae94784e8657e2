"""What a network has for who wants to see what it computes."""

from typing import Any

import numpy as np

from ..architecture import Architecture
from ..checks.arguments import check_bool
from ..samples import check_inputs
from .gradients import Gradients, by_layer, gradients_of_samples
from .layers import layer_outputs
from .trace import Trace
from .tracing import trace_step


class InspectsSteps:
    """A part of `Network`."""

    architecture: Architecture
    parameters: np.ndarray

    def trace(self, x: Any, y: Any, *, learning_rate: float | None = None, propagate: str = "exact") -> Trace:
        """Every number of one step of per-sample SGD, without taking it: the network stays as it is.

        Parameters
        ----------
        x : array-like of shape (n_inputs,) or (1, n_inputs)
            One sample, in the host's memory.
        y : number or array-like of shape (n_outputs,)
            Its targets; with categorical cross-entropy also the index of a class.
        learning_rate : float, optional
            Also compute the update; finite and not 0.
        propagate : {"exact", "updated"}
            As for `fit`; "updated" needs a learning rate.

        Returns
        -------
        Trace
            ``print(net.trace(x, y))`` shows it; its attributes are arrays: ``.z[l]``, ``.a[l]``,
            ``.delta[l]``, ``.gradients.weights[l]``, ``.new_weights[l]``, ...

        Raises
        ------
        ValueError, TypeError
            For an argument that is not allowed, as for `fit`, and for more than one sample.

        Examples
        --------
        >>> import numbabp as nbp
        >>> net = nbp.Network((2, 3, 1), loss="binary_cross_entropy", init="zeros")
        >>> step = net.trace([0, 1], 1, learning_rate=1.0)
        >>> step.outputs, step.delta[-1], step.new_biases[-1]
        (array([0.5]), array([-0.5]), array([0.5]))
        """
        self.architecture.check_finite(self.parameters)
        return trace_step(self.architecture, self.parameters, (x, y), learning_rate, propagate)

    def gradients(self, X: Any, y: Any, *, per_sample: bool = False) -> Gradients:
        """Gradients of the loss by layer, by backpropagation.

        Parameters
        ----------
        X, y
            Samples, as for `fit`, in the host's memory.
        per_sample : bool
            Those of each sample, in arrays with a first axis for the samples, instead of their mean, which is
            the gradient of the mean loss that `evaluate` gives.

        Returns
        -------
        Gradients
            A named tuple of ``weights`` and ``biases``, each a tuple with an array a layer, of the network's
            dtype and in the host's memory.

        Raises
        ------
        ValueError, TypeError
            For an argument that is not allowed, as for `fit`.
        """
        check_bool("per_sample", per_sample)
        self.architecture.check_finite(self.parameters)
        found = gradients_of_samples(self.architecture, self.parameters, X, y, per_sample=per_sample)
        return by_layer(self.architecture, found if per_sample else found[0])

    def layer_outputs(self, X: Any) -> tuple[Any, ...]:
        """Activations of every layer, the last of which are what `forward` gives.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_inputs)
            As for `forward`.

        Returns
        -------
        tuple of ndarray
            One of shape (n, fan_out) a layer; CuPy's, on the GPU of X, where X lies on one.

        Raises
        ------
        ValueError, TypeError
            For an X that is not allowed, as for `forward`.
        """
        inputs = check_inputs(self.architecture, "X", X)
        self.architecture.check_finite(self.parameters)
        return layer_outputs(self.architecture, self.parameters, inputs)
