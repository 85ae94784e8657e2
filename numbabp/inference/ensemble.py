"""The mean of many networks as one predictor."""

from typing import Any

from ..devices.placement import where_X_lies
from .predictions import decide


class Ensemble:
    """The mean of the outputs of many networks, with their spread as uncertainty."""

    def __init__(self, population: Any) -> None:
        self.population = population
        """The `Population`."""

    @where_X_lies
    def forward(self, X: Any) -> Any:
        """Mean outputs, shape (n, n_outputs); CuPy's, on the GPU of X, if it lies on one."""
        return self.population.forward(X).mean(axis=0)

    @where_X_lies
    def std(self, X: Any) -> Any:
        """Standard deviation of the outputs over the networks, shape (n, n_outputs); likewise."""
        return self.population.forward(X).std(axis=0)

    def predict(self, X: Any) -> Any:
        """As `Network.predict`, from the mean outputs."""
        return decide(self.population.architecture, self.forward(X))
