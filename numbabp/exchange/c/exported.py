"""What a network has for those who want it as C."""

import os
from typing import Any

import numpy as np

from ...architecture import Architecture
from ...atomic_files import write_atomically
from ...checks.arguments import check_bool
from ...checks.host_samples import check_inputs
from ...inference import predictions
from .program import Program, check_destination, check_learning, check_name, decides
from .source import source_of


class WritesC:
    """A part of `Network`."""

    architecture: Architecture
    parameters: np.ndarray

    def to_c(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "net",
        training: bool = False,
        learning_rate: float | None = None,
        update_rule: str | None = None,
        momentum: float | None = None,
        samples: Any = None,
    ) -> None:
        """Write the network as one file of C99, for a microcontroller or any other C program.

        It needs nothing beside a compiler, and of the C library only the functions of math.h that its head
        names; it allocates nothing and keeps no state of its own. docs/microcontrollers.md is a tutorial.

        Parameters
        ----------
        path : str or path-like
            Where to; the file appears whole or not at all. One that ends in .h is to be included (also in
            C++), its functions are static inline; one that ends in .c is compiled by itself, and its head has
            the declarations.
        name : str
            What all names in the file begin with, macros in capitals: an identifier of C.
        training : bool
            Not only for inference: parameters are in a struct of the caller's, in RAM, that begins as this
            network and learns from one sample at a time, as `fit` with shuffle=False does.
        learning_rate : float, optional
            For training=True; 0.1 by default. The struct has it, too, so that a program can change it.
        update_rule : {"sgd", "momentum", "nesterov"}, optional
            For training=True; sgd by default. What a rule carries from step to step begins as zero.
        momentum : float, optional
            For the rules that have one; 0.9 by default.
        samples : array-like of shape (n, n_inputs), optional
            A few samples that are written, too, with their outputs: ``int net_check(void)``, with training
            ``int net_check(const net_model *model)``, computes them where it runs, and gives the number of
            samples that come out differently.

        Raises
        ------
        ValueError, TypeError
            For an argument that is not allowed, naming it, or parameters that are not finite.
        OSError
            If the file can't be written; an existing one is left as it is.

        Notes
        -----
        With the name net, for inference::

            void net_forward(const float *inputs, float *outputs);
            int net_classify(const float *inputs);     // where `predict` gives classes
            float net_predict(const float *inputs);    // where it gives one number a sample

        and for training::

            void net_init(net_model *model);
            void net_learn(net_model *model, const float *inputs, const float *targets, float *outputs);
            void net_learn_class(net_model *model, const float *inputs, int class_index, float *outputs);
            float net_loss(const float *outputs, const float *targets);

        beside the three above, which then take a ``const net_model *`` first. `net_learn` gives the outputs
        of before its step. All numbers are float, or double where the network is float64.

        Examples
        --------
        >>> import tempfile, pathlib, numbabp as nbp
        >>> net = nbp.Network((2, 10, 1), loss="binary_cross_entropy", dtype="float32")
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "net.h"
        >>> net.to_c(path)
        >>> [line for line in path.read_text().splitlines() if "net_classify" in line][-1]
        'static inline int net_classify(const float *inputs)'
        """
        destination, prefix = check_destination(path), check_name(name)
        given = {"learning_rate": learning_rate, "update_rule": update_rule, "momentum": momentum}
        learning = check_learning(check_bool("training", training), given)
        self.architecture.check_finite(self.parameters)
        architecture = self.architecture
        if samples is not None:
            X = check_inputs("samples", samples, architecture.n_inputs, architecture.dtype)
            samples = X, predictions.outputs(architecture, self.parameters, X)[1]
        program = Program(
            architecture,
            self.parameters,
            prefix,
            destination.suffix == ".h",
            learning,
            classifies=decides(architecture),
            samples=samples,
        )
        write(program, destination)


def write(program: Program, path: str | os.PathLike[str]) -> None:
    """The source of a program, atomically."""
    text = source_of(program).encode("ascii")
    write_atomically(path, lambda file: file.write(text))
