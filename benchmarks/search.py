"""Searches: seconds of a grid of 60 candidates on five folds of the digits, all fits in populations."""

import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

import numbabp as nbp

GRID = {
    "hidden_layer_sizes": [(32,), (64,), (100,)],
    "learning_rate_init": [0.005, 0.01, 0.02, 0.03, 0.05],  # at which all learn: at 0.2 all diverge
    "alpha": [0.0, 1e-4, 1e-3, 1e-2],
}


class Search:
    """PopulationSearchCV without the refit, on one thread and on two."""

    params = ([1, 2],)
    param_names = ("threads",)
    number, repeat, timeout = 1, 3, 300

    def setup(self, n_threads):
        warnings.filterwarnings("ignore", "Stochastic Optimizer: Maximum iterations", ConvergenceWarning)
        images, self.y = load_digits(return_X_y=True)
        self.X = (images / 16).astype("float32")
        model = nbp.MLPClassifier(learning_rate="cosine", max_iter=10, random_state=0)
        self.search = nbp.PopulationSearchCV(model, GRID, cv=5, refit=False, n_threads=n_threads)
        self.time_60_candidates_on_5_folds(n_threads)  # compiles

    def time_60_candidates_on_5_folds(self, n_threads):
        self.search.fit(self.X, self.y)
