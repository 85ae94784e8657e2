"""Networks for PyTorch, and PyTorch's modules as networks."""

import copy

import numpy as np
import pytest
from running import TOLERANCE, inputs_of, network_with_hidden, network_with_output

import numbabp as nbp
from numbabp.functions.activations import ACTIVATIONS, HIDDEN_ACTIVATIONS

torch = pytest.importorskip("torch")
nn = torch.nn


def agree(network, module):
    X = inputs_of(network.dtype)
    theirs = module(torch.from_numpy(X)).detach().numpy()
    assert theirs.dtype == network.dtype
    tolerance = TOLERANCE[str(network.dtype)]
    np.testing.assert_allclose(network.forward(X), theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
def test_hidden_activations_there_and_back(activation, dtype):
    net = network_with_hidden(activation, dtype)
    module = net.to_torch()
    agree(net, module)
    back = nbp.from_torch(module)
    assert back.architecture == net.architecture
    np.testing.assert_array_equal(back.parameters, net.parameters)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_outputs_there_and_back(activation, dtype):
    net = network_with_output(activation, dtype)
    module = net.to_torch()
    agree(net, module)
    back = nbp.from_torch(module, net.loss)
    assert back.architecture == net.architecture


def test_parameters_are_copied():
    net = nbp.Network((3, 4, 2), random_state=0)
    module = net.to_torch()
    back = nbp.from_torch(module)
    before = net.parameters.copy()
    with torch.no_grad():
        for parameter in module.parameters():
            assert parameter.requires_grad and parameter.is_contiguous()
            parameter += 1
    np.testing.assert_array_equal(net.parameters, before)
    np.testing.assert_array_equal(back.parameters, before)


def test_a_module_can_be_copied_and_kept_and_trained():
    net = nbp.Network((3, 4, 2), loss="poisson", random_state=0)
    module = net.to_torch()
    agree(net, copy.deepcopy(module))
    again = net.to_torch()
    again.load_state_dict(module.state_dict())
    assert type(module[:-1](torch.zeros(1, 3, dtype=torch.float64))) is torch.Tensor
    torch.nn.PoissonNLLLoss()(
        module[:-1](torch.zeros(1, 3, dtype=torch.float64)), torch.ones(1, 2)
    ).backward()


def test_both_train_alike_from_a_module_on():
    """One step of plain SGD on one sample, there and here."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)).double()
    net = nbp.from_torch(module, "categorical_cross_entropy")
    assert net.activations == ("tanh", "softmax")
    X, y = inputs_of("float64", n=1, scale=1.0), np.array([2])
    net.fit(X, y, learning_rate=0.5, epochs=3)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(module(torch.from_numpy(X)), torch.from_numpy(y)).backward()
        optimizer.step()
    np.testing.assert_allclose(
        nbp.from_torch(module, "categorical_cross_entropy").parameters, net.parameters, rtol=0, atol=1e-14
    )


def test_sequentials_within_and_dropout_are_taken():
    module = nn.Sequential(
        nn.Sequential(nn.Linear(3, 5), nn.ReLU(inplace=True)),
        nn.Dropout(0.5),
        nn.Sequential(nn.Linear(5, 4, bias=False), nn.Identity(), nn.Linear(4, 2)),
    )
    with pytest.raises(ValueError, match=r"module\[1\], Dropout, drops units .*eval"):
        nbp.from_torch(module)
    net = nbp.from_torch(module.eval())
    assert net.activations == ("relu", "identity", "identity") and net.loss == "squared_error"
    assert net.dtype == np.float32 and not net.biases[1].any()
    agree(net, module)


def test_a_linear_is_a_network():
    linear = nn.Linear(3, 2)
    agree(nbp.from_torch(linear, "huber"), linear)


class OwnForward(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (3, TypeError, "module must be a torch.nn.Module, got 3"),
        (nn.Sequential(), ValueError, "module has no dense layer"),
        (
            nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)),
            TypeError,
            r"module\[1\], BatchNorm1d, is not known",
        ),
        (OwnForward(nn.Linear(3, 2)), TypeError, "OwnForward, has a forward of its own"),
        (nn.Sequential(nn.Sigmoid(), nn.Linear(3, 2)), ValueError, "activation of the inputs"),
        (nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Tanh()), ValueError, r"module\[2\], Tanh, is a second"),
        (nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 1)), ValueError, r"takes 3 inputs, but module\[0\]"),
        (
            nn.Sequential(nn.Linear(3, 2), nn.LeakyReLU(0.2)),
            ValueError,
            "negative_slope=0.2; .* numbabp's is 0.01",
        ),
        (nn.Sequential(nn.Linear(3, 2), nn.ELU(2.0)), ValueError, "alpha=2.0"),
        (nn.Sequential(nn.Linear(3, 2), nn.GELU("tanh")), ValueError, "approximate='tanh'"),
        (nn.Sequential(nn.Linear(3, 2), nn.Softplus(2.0)), ValueError, "beta=2.0"),
        (nn.Sequential(nn.Linear(3, 2), nn.Softplus(1.0, 5.0)), ValueError, "beyond threshold=5.0"),
        (nn.Sequential(nn.Linear(3, 2), nn.Softmax(0)), ValueError, "dim=0; .* is 1 or -1 or None"),
        (
            nn.Sequential(nn.Linear(3, 2), nn.Softmax(1), nn.Linear(2, 2)),
            ValueError,
            r"hidden_activation\[0\]",
        ),
        (nn.Linear(3, 2).half(), ValueError, "torch.float16"),
        (nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1).double()), ValueError, "float32, float64"),
    ],
)
def test_what_is_no_network_is_refused(module, error, message):
    with pytest.raises(error, match=message):
        nbp.from_torch(module)


def test_parameters_and_losses_are_checked():
    linear = nn.Linear(3, 2)
    with torch.no_grad():
        linear.weight[1, 2] = torch.nan
    with pytest.raises(ValueError, match=r"weights\[0\] must be finite, but \[2, 1\]"):
        nbp.from_torch(linear)
    with pytest.raises(ValueError, match="output_activation='tanh' does not go with"):
        nbp.from_torch(nn.Sequential(nn.Linear(3, 2), nn.Tanh()), "binary_cross_entropy")
    net = nbp.Network((2, 1))
    net.parameters[0] = np.inf
    with pytest.raises(ValueError, match="finite"):
        net.to_torch()
