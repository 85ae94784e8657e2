"""Fitted estimators as C, with their standardisation."""

import os
from typing import Any

from sklearn.utils.validation import check_is_fitted

from ..checks.host_samples import check_inputs
from ..exchange.c.exported import write
from ..exchange.c.program import Affine, Program, check_destination, check_name
from ..network import Network
from .targets import Labels
from .training.fitting import Fitted


class WritesC:
    """A part of the estimators."""

    inner_network_: Network
    _fitted: Fitted

    def to_c(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "net",
        dtype: Any = None,
        samples: Any = None,
    ) -> None:
        """Write the estimator as one file of C99, for inference: `Network.to_c` tells more.

        Inputs are as `predict` takes them: with standardize=True they are standardised by constants in the
        file, and a regressor's outputs are in the units of the targets.

        Parameters
        ----------
        path : str or path-like
            Where to, ending in .c or in .h.
        name : str
            What all names in the file begin with.
        dtype : {"float32", "float64"}, optional
            Of the numbers in the file; by default that of the X of `fit`. A microcontroller's floating-point
            unit, if it has one, mostly knows float32 alone.
        samples : array-like of shape (n, n_features), optional
            A few samples that are written, too, with their outputs: ``int net_check(void)`` gives the number
            of those that come out differently where it runs.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            For an argument that is not allowed, naming it.
        OSError
            If the file can't be written; an existing one is left as it is.

        Notes
        -----
        A classifier of one label a sample has, with the name net, ``int net_classify(const float *inputs)``,
        which gives the place of the label in `classes_`; the head of the file lists them. A regressor of one
        number has ``float net_predict(const float *inputs)``. The outputs are those of the network: for two
        classes one, the probability of the second, else one for each class, label or number.
        """
        destination, prefix = check_destination(path), check_name(name)
        check_is_fitted(self)
        network, targets, standardization = (
            self.inner_network_,
            self._fitted.targets,
            self._fitted.standardization,
        )
        if dtype is not None:
            network = network.astype(dtype)
        network.architecture.check_finite(network.parameters)
        inputs = outputs = None
        if standardization.inputs is not None:
            moments = standardization.inputs
            inputs = Affine.dividing(moments.shift, moments.scale, network.dtype)
        if standardization.targets is not None:
            outputs = Affine(*standardization.back)
        if samples is not None:
            X = check_inputs("samples", samples, network.n_inputs, network.dtype)
            samples = X, self._fitted.before_and_after_activation(network, X)[1]
        classes = None
        if isinstance(targets, Labels) and not targets.multilabel and len(targets.classes) > 1:
            classes = targets.classes.tolist()
        program = Program(
            network.architecture,
            network.parameters,
            prefix,
            destination.suffix == ".h",
            inputs=inputs,
            outputs=outputs,
            classifies=classes is not None,
            classes=classes,
            input_names=[repr(str(column)) for column in getattr(self, "feature_names_in_", ())],
            samples=samples,
        )
        write(program, destination)
