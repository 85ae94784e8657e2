"""What tests of exchange share: networks, inputs, tolerances, and ONNX Runtime."""

import numpy as np

import numbabp as nbp
from numbabp.functions.losses import LOSSES, OUTPUT_ACTIVATION

TOLERANCE = {"float32": 1e-6, "float64": 1e-12}


def network_with_hidden(activation, dtype):
    """Two hidden layers of it, with biases that are not zero."""
    net = nbp.Network((3, 6, 5, 2), hidden_activation=activation, dtype=dtype, random_state=0)
    net.biases = [np.arange(len(b)) / 7 for b in net.biases]
    return net


def network_with_output(activation, dtype):
    """A layer of it, with the loss that belongs to it."""
    loss = next((loss for loss in LOSSES if OUTPUT_ACTIVATION[loss] == activation), "huber")
    return nbp.Network((3, 4), output_activation=activation, loss=loss, dtype=dtype, random_state=1)


def inputs_of(dtype, n=50, n_inputs=3, scale=4.0):
    """Some of them far from zero, where activations end."""
    return (scale * np.random.RandomState(0).standard_normal((n, n_inputs))).astype(dtype)


def run_onnx(model, X):
    """Outputs by name of a model, as onnx's or in a file, whose types and shapes are checked before."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = model.SerializeToString() if hasattr(model, "SerializeToString") else str(model)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {given.name: X}), strict=True))
