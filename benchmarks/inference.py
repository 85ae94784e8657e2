"""Predictions of many samples at once."""

import numpy as np

import numbabp as nbp


class Predict:
    """100,000 samples of 64 inputs through 64-100-10."""

    params = ("float64", "float32")
    param_names = ("dtype",)

    def setup(self, dtype):
        self.network = nbp.Network(
            (64, 100, 10),
            hidden_activation="relu",
            loss="categorical_cross_entropy",
            dtype=dtype,
            random_state=0,
        )
        self.X = np.random.default_rng(0).standard_normal((100_000, 64)).astype(dtype)
        self.network.predict(self.X[:100])

    def time_predict(self, dtype):
        self.network.predict(self.X)
