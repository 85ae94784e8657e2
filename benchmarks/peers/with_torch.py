"""PyTorch: a module with its optimizer, and tensor operations written out."""

from itertools import pairwise

from peer import Peer, Unavailable, flat


class Torch(Peer):
    """nn.Module, autograd and optim.SGD, a sample at a time."""

    name = "PyTorch eager"

    @classmethod
    def check(cls, problem):
        super().check(problem)
        try:
            import torch
        except ImportError:
            raise Unavailable("not installed (pip install torch)") from None
        torch.set_num_threads(1)

    def __init__(self, problem):
        super().__init__(problem)
        import torch

        self.torch = torch
        self.X, self.Y = torch.from_numpy(problem.X), torch.from_numpy(problem.Y)

    def prepare(self):
        super().prepare()
        torch, nn, sizes = self.torch, self.torch.nn, self.problem.sizes
        modules = []
        for fan_in, fan_out in pairwise(sizes):
            modules += [nn.Linear(fan_in, fan_out, dtype=self.X.dtype), nn.Sigmoid()]
        self.model = nn.Sequential(*modules[:-1])  # the loss takes logits
        self.layers = self.model[::2]
        with torch.no_grad():
            for layer, W, b in zip(self.layers, self.net.weights, self.net.biases, strict=True):
                layer.weight.copy_(torch.from_numpy(W.T))
                layer.bias.copy_(torch.from_numpy(b))
        groups = [
            {"params": [layer.weight for layer in self.layers], "weight_decay": self.problem.l2},
            {"params": [layer.bias for layer in self.layers]},
        ]
        self.optimizer = torch.optim.SGD(groups, lr=self.rate, momentum=self.problem.momentum)
        self.loss = nn.BCEWithLogitsLoss(reduction="sum")

    def train(self, n, epochs):
        X, Y = self.X[:n], self.Y[:n]
        for _ in range(epochs):
            total = 0.0
            for x, y in zip(X, Y, strict=True):
                loss = self.loss(self.model(x), y)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                total += loss.item()

    def parameters(self):
        weights = [layer.weight.detach().numpy().T for layer in self.layers]
        return flat(weights, [layer.bias.detach().numpy() for layer in self.layers])


class WrittenTorch(Torch):
    """The whole step in tensor operations that work in place, under inference_mode."""

    name = "PyTorch manual"

    def prepare(self):
        Peer.prepare(self)
        from_numpy = self.torch.from_numpy
        self.weights = [from_numpy(W.copy()) for W in self.net.weights]
        self.biases = [from_numpy(b.copy()) for b in self.net.biases]
        if not self.problem.plain:
            self.V = [self.torch.zeros_like(W) for W in self.weights]
            self.v = [self.torch.zeros_like(b) for b in self.biases]

    def train(self, n, epochs):
        with self.torch.inference_mode():
            self.run(self.X[:n], self.Y[:n], epochs)

    def run(self, X, Y, epochs):
        torch, plain, rate = self.torch, self.problem.plain, self.rate
        mu, l2 = self.problem.momentum, self.problem.l2
        cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
        weights, biases = self.weights, self.biases
        transposed = [W.T for W in weights]
        last = len(weights) - 1
        for _ in range(epochs):
            total = 0.0
            for x, y in zip(X, Y, strict=True):
                inputs = [x]
                for W, b in zip(transposed[:-1], biases[:-1], strict=True):
                    inputs.append(torch.addmv(b, W, inputs[-1]).sigmoid_())
                z = torch.addmv(biases[-1], transposed[-1], inputs[-1])
                total += cross_entropy(z, y, reduction="sum").item()
                delta = z.sigmoid_().sub_(y)
                for layer in range(last, -1, -1):
                    W, b, a = weights[layer], biases[layer], inputs[layer]
                    below = torch.mv(W, delta).mul_(a).mul_(1 - a) if layer else None
                    if plain:
                        W.addr_(a, delta, alpha=-rate)
                        b.add_(delta, alpha=-rate)
                    else:
                        self.V[layer].addr_(a, delta, beta=mu).add_(W, alpha=l2)
                        self.v[layer].mul_(mu).add_(delta)
                        W.add_(self.V[layer], alpha=-rate)
                        b.add_(self.v[layer], alpha=-rate)
                    delta = below

    def parameters(self):
        return flat([W.numpy() for W in self.weights], [b.numpy() for b in self.biases])
