"""scikit-learn's MLPClassifier made to do the same: batch_size=1, plain SGD, multi-label targets."""

import warnings

from peer import OutOfScope, Peer, flat
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier


class ScikitLearn(Peer):
    name = "scikit-learn"

    @classmethod
    def check(cls, problem):
        """Shuffles too."""
        if problem.adam:
            raise OutOfScope  # its epsilon stands beside the moment before it is corrected
        if problem.loss not in cls.losses:
            raise OutOfScope  # its regressor has identity outputs
        if problem.nonzeros:
            raise OutOfScope  # multi-label targets for ten outputs of sparse samples: minutes a timing

    def prepare(self):
        super().prepare()
        self.model = MLPClassifier(
            hidden_layer_sizes=self.problem.sizes[1:-1],
            activation="logistic",
            solver="sgd",
            alpha=self.problem.l2,
            batch_size=1,
            learning_rate_init=self.rate,
            shuffle=self.problem.shuffle,
            momentum=self.problem.momentum,
            nesterovs_momentum=False,
            tol=0,
            n_iter_no_change=10**9,
            warm_start=True,
            max_iter=1,
        )
        self.fit(4, 1)  # makes its arrays, which are then overwritten
        own = (*self.model.coefs_, *self.model.intercepts_)
        for array, start in zip(own, (*self.net.weights, *self.net.biases), strict=True):
            array[...] = start
        del self.model._optimizer  # with its velocities; the next fit makes one

    def fit(self, n, epochs):
        Y = self.problem.Y[:n].astype(int)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.set_params(max_iter=epochs).fit(self.problem.X[:n], Y[:, 0] if Y.shape[1] == 1 else Y)

    def train(self, n, epochs):
        self.fit(n, epochs)

    def parameters(self):
        return flat(self.model.coefs_, self.model.intercepts_)
