"""The architecture: what follows from sizes, activations, loss and dtype."""

import pickle

import numpy as np
import pytest

import numbabp as nbp
from numbabp.architecture import Architecture
from numbabp.kernels.layout import BIASES, WEIGHTS


def deep(**options):
    return Architecture.checked(
        (3, 5, 4, 2), ["tanh", "relu"], loss="categorical_cross_entropy", dtype="float32", **options
    )


def test_what_follows():
    of = deep()
    assert (of.n_layers, of.n_inputs, of.n_outputs) == (3, 3, 2)
    assert of.activations == ("tanh", "relu", "softmax")
    assert of.n_weights == 3 * 5 + 5 * 4 + 4 * 2
    assert of.n_parameters == of.n_weights + 5 + 4 + 2
    assert of.nbytes == 4 * of.n_parameters
    assert of.is_classifying and of.metric_names(["huber"]) == ["huber", "accuracy"]
    assert of.metric_names() == ["accuracy"] and of.metric_names(["accuracy"]) == ["accuracy"]


def test_equal_ones_are_one_key_of_a_table():
    one, other = deep(), deep()
    assert one.n_units > len(one.layout)  # what is worked out once does not count
    assert one == other and {one: 1}[other] == 1
    assert one != one.with_dtype("float64")
    with pytest.raises(AttributeError):
        one.loss = "huber"
    copied = pickle.loads(pickle.dumps(one))
    assert copied == one and hash(copied) == hash(one)


def test_views_of_parameters_fill_them():
    of = deep()
    parameters = np.zeros(of.n_parameters, of.dtype)
    weights, biases = of.weights_of(parameters), of.biases_of(parameters)
    assert [w.shape for w in weights] == [(3, 5), (5, 4), (4, 2)]
    for view in (*weights, *biases):
        view += 1
    assert (parameters == 1).all()
    layer = of.layout[1]
    parameters[int(layer[WEIGHTS])], parameters[int(layer[BIASES])] = 7, 8
    assert weights[1][0, 0] == 7 and biases[1][0] == 8


def test_networks_and_populations_tell_it():
    net = nbp.Network((3, 5, 4, 2), loss="categorical_cross_entropy", hidden_activation=["tanh", "relu"])
    population = nbp.Population(
        (3, 5, 4, 2), 2, loss="categorical_cross_entropy", hidden_activation=["tanh", "relu"]
    )
    assert net.architecture == population.architecture == deep().with_dtype("float64")
    for name in ("layer_sizes", "activations", "loss", "dtype", "n_layers", "n_inputs", "n_outputs"):
        assert getattr(net, name) == getattr(population, name) == getattr(net.architecture, name)
    assert net.n_parameters == population.n_parameters == population.parameters.shape[1]
