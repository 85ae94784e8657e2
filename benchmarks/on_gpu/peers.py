"""The other systems: what each offers is `prepare`, `train` and `parameters`.

A peer raises `Unavailable` while it is made if it is not here. `prepare()` sets the initial parameters,
`train(n, epochs)` starts the steps through the first n samples, and `finish()` waits until they are done.
"""

import importlib.util
import os

import numpy as np

from benchmarks.peers.jax_sgd import make_train


class Unavailable(Exception):
    """The system is not here; its row says so."""


class Peer:
    """One system on one task."""

    name = ""
    n_most = None
    """Samples at most: of a system that would take minutes for all."""

    def __init__(self, task):
        self.task = task
        self.start = task.model().parameters

    def prepare(self):
        raise NotImplementedError

    def train(self, n, epochs):
        raise NotImplementedError

    def finish(self):
        """Wait until the device is done."""

    def parameters(self):
        """In numbabp's order."""
        raise NotImplementedError


class Jax(Peer):
    """One jitted call: lax.scan over the samples, of each network (vmap) where there are many."""

    def __init__(self, task, on_gpu=True):
        super().__init__(task)
        self.name = "JAX, vmap of lax.scan" if task.n_networks > 1 else "JAX, lax.scan"
        if importlib.util.find_spec("jax") is None:
            raise Unavailable("not installed (pip install 'jax[cuda13]')")
        # else it takes three quarters of the GPU's memory for itself
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax

        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_default_matmul_precision", "highest")  # float32 as it is, not TF32
        if on_gpu and jax.default_backend() != "gpu":
            raise Unavailable(f"JAX sees no GPU here, only {jax.default_backend()}")
        self.jax = jax
        self.X, self.Y = jax.device_put((task.X, task.Y))
        train = make_train(jax, np.dtype(task.dtype).type(task.rate), task.softmax)
        if task.n_networks > 1:
            train = jax.vmap(train, in_axes=(0, None, None, None))
        self.jitted = jax.jit(train)

    def prepare(self):
        self.own = self.jax.device_put(self.task.layers(self.start))
        self.finish()

    def train(self, n, epochs):
        X, Y = (self.X, self.Y) if n == len(self.X) else (self.X[:n], self.Y[:n])
        self.own, self.total = self.jitted(self.own, X, Y, epochs)

    def finish(self):
        self.jax.block_until_ready(self.own)

    def parameters(self):
        return self.task.flat(self.own)


class StepByStep(Peer):
    """One network as notebooks write it in NumPy, on CuPy."""

    name = "CuPy, step by step"
    n_most = 1024

    def __init__(self, task, xp=None):
        super().__init__(task)
        if xp is None:
            import cupy as xp
        self.xp = xp
        self.X, self.Y = xp.asarray(task.X), xp.asarray(task.Y)

    def prepare(self):
        layers = self.task.layers(self.start)
        self.weights = [self.xp.asarray(W) for W, _ in layers]
        self.biases = [self.xp.asarray(b) for _, b in layers]

    def train(self, n, epochs):
        xp, weights, biases = self.xp, self.weights, self.biases
        rate = self.start.dtype.type(self.task.rate)
        for _ in range(epochs):
            total = xp.zeros((), self.start.dtype)
            for x, y in zip(self.X[:n], self.Y[:n], strict=True):
                inputs = [x]
                for W, b in zip(weights[:-1], biases[:-1], strict=True):
                    inputs.append(1 / (1 + xp.exp(-(inputs[-1] @ W + b))))
                z = inputs[-1] @ weights[-1] + biases[-1]
                if self.task.softmax:
                    powers = xp.exp(z - z.max())
                    a = powers / powers.sum()
                    total -= (y * xp.log(a)).sum()
                else:
                    a = 1 / (1 + xp.exp(-z))
                    total -= (y * xp.log(a) + (1 - y) * xp.log(1 - a)).sum()
                delta = a - y
                for layer in reversed(range(len(weights))):
                    a, gradient = inputs[layer], delta
                    if layer:
                        delta = (weights[layer] @ delta) * a * (1 - a)
                    weights[layer] -= rate * xp.outer(a, gradient)
                    biases[layer] -= rate * gradient
        self.total = total

    def finish(self):
        if self.xp is not np:
            self.xp.cuda.get_current_stream().synchronize()

    def parameters(self):
        copied = self.xp.asnumpy if self.xp is not np else np.asarray
        pairs = zip(self.weights, self.biases, strict=True)
        return self.task.flat([(copied(W), copied(b)) for W, b in pairs])


class Torch(Peer):
    """One network as nn.Module with autograd and optim.SGD, a sample at a time, on the GPU."""

    name = "PyTorch, eager"
    n_most = 1024

    def __init__(self, task):
        super().__init__(task)
        if importlib.util.find_spec("torch") is None:
            raise Unavailable("not installed (pip install torch)")
        import torch

        if not torch.cuda.is_available():
            raise Unavailable("PyTorch sees no GPU here")
        torch.backends.cuda.matmul.allow_tf32 = False
        self.torch, self.device = torch, torch.device("cuda")
        self.X = torch.from_numpy(task.X).to(self.device)
        self.Y = torch.from_numpy(task.Y).to(self.device)
        modules = []
        for fan_in, fan_out in zip(task.sizes, task.sizes[1:], strict=False):
            modules += [torch.nn.Linear(fan_in, fan_out, dtype=self.X.dtype), torch.nn.Sigmoid()]
        self.model = torch.nn.Sequential(*modules[:-1]).to(self.device)  # the loss takes logits
        self.layers = self.model[::2]
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=task.rate)
        kind = torch.nn.CrossEntropyLoss if task.softmax else torch.nn.BCEWithLogitsLoss
        self.loss = kind(reduction="sum")

    def prepare(self):
        with self.torch.no_grad():
            for layer, (W, b) in zip(self.layers, self.task.layers(self.start), strict=True):
                layer.weight.copy_(self.torch.from_numpy(np.ascontiguousarray(W.T)))
                layer.bias.copy_(self.torch.from_numpy(b))
        self.finish()

    def train(self, n, epochs):
        for _ in range(epochs):
            total = self.torch.zeros((), device=self.device)
            for i in range(n):
                loss = self.loss(self.model(self.X[i : i + 1]), self.Y[i : i + 1])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                total += loss.detach()  # .item() would wait for the GPU in every step

    def finish(self):
        self.torch.cuda.synchronize()

    def parameters(self):
        return self.task.flat(
            [
                (layer.weight.detach().cpu().numpy().T, layer.bias.detach().cpu().numpy())
                for layer in self.layers
            ]
        )


class TorchGraph(Torch):
    """The same step recorded once as a CUDA graph, and replayed for every sample."""

    name = "PyTorch, CUDA graph"
    n_most = None

    def __init__(self, task):
        super().__init__(task)
        torch = self.torch
        self.x, self.y = self.X[:1].clone(), self.Y[:1].clone()
        self.total = torch.zeros((), device=self.device, dtype=self.X.dtype)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # as PyTorch's manual asks: some steps beforehand, on another stream
            for _ in range(3):
                self._step()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self._step(zero=False)

    def _step(self, zero=True):
        if zero:
            self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        self.total += loss.detach()

    def train(self, n, epochs):
        for _ in range(epochs):
            self.total.zero_()
            for i in range(n):
                self.x.copy_(self.X[i : i + 1])
                self.y.copy_(self.Y[i : i + 1])
                self.graph.replay()


def difference(found, expected):
    """Largest difference of parameters, relative to the largest one."""
    return float(np.abs(found.astype(float) - expected).max() / np.abs(expected).max())
