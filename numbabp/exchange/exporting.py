"""What networks and populations have for who wants to take them to another library."""

from typing import Any

import numpy as np

from ..architecture import Architecture
from ..atomic_files import PathLike
from . import keras_models, onnx_models, torch_modules


class ExportsToONNX:
    """A part of `Population`, and of what `Network` has."""

    architecture: Architecture
    parameters: np.ndarray

    def to_onnx(self, path: PathLike | None = None) -> Any:
        """The model in ONNX, which ONNX Runtime and many others run.

        Its input is called X, of shape (n, n_inputs); its output "outputs", of shape (n, n_outputs), for a
        population (n_networks, n, n_outputs), as `forward` gives them. Both are of the network's dtype;
        ``net.astype("float32").to_onnx(path)`` makes a model of float32, which most devices are faster with.
        Layers, activations and the loss are in the model's metadata. A model runs in fast arithmetic, also
        where numerics="strict".

        Parameters
        ----------
        path : str or path-like, optional
            A file to write the model to, whole or not at all.

        Returns
        -------
        onnx.ModelProto
            Of opset 13, checked by onnx.checker.

        Raises
        ------
        ImportError
            If onnx, the extra `onnx`, is not installed.
        ValueError
            If a parameter is not finite, or all are more than 2 GiB, the most that a file of ONNX holds.
        OSError
            If the file can't be written; an existing one is left as it is.
        """
        self.architecture.check_finite(self.parameters)
        return onnx_models.written(onnx_models.of_networks(self.architecture, self.parameters), path)


class ExportsItself(ExportsToONNX):
    """A part of `Network`."""

    def to_torch(self) -> Any:
        """The network as a PyTorch module, with copies of its parameters.

        Returns
        -------
        torch.nn.Sequential
            Of Linear modules and activations, on the CPU and in the network's dtype. Its outputs are those
            of `forward`. Without its last module, ``module[:-1]``, it gives what PyTorch's own losses take
            where the output is sigmoid, softmax or exp: BCEWithLogitsLoss, CrossEntropyLoss, PoissonNLLLoss.

        Raises
        ------
        ImportError
            If PyTorch is not installed.
        ValueError
            If a parameter is not finite.
        """
        self.architecture.check_finite(self.parameters)
        return torch_modules.to_sequential(self.architecture, self.parameters)

    def to_keras(self) -> Any:
        """The network as a Keras model, with copies of its parameters.

        Returns
        -------
        keras.Sequential
            Built, of Dense layers and, for leaky_relu, LeakyReLU, in the network's dtype. Its outputs are
            those of `forward`, to float32's rounding: in float64 Keras computes over TensorFlow alone. Its
            ``get_weights()`` are what another model of these layers takes by ``set_weights``: weights and
            biases of the first layer, of the second, ...

        Raises
        ------
        ImportError
            If Keras is not installed.
        ValueError
            If a parameter is not finite.
        """
        self.architecture.check_finite(self.parameters)
        return keras_models.to_sequential(self.architecture, self.parameters)
