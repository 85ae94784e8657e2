"""Bundled data sets."""

import numpy as np
import pytest

from numbabp.data.datasets import BUNDLED, load_dataset, xor


def test_xor():
    X, y = xor()
    assert X.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert y.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("name", BUNDLED)
def test_every_dataset_is_whole(name):
    data = load_dataset(name)
    assert data.X.shape == (len(data.y), len(data.feature_names))
    assert np.isfinite(data.X).all()
    assert len(set(data.feature_names)) == len(data.feature_names)
    if data.task == "classification":
        assert data.y.dtype.kind == "U"
        assert len(np.unique(data.y)) >= 2
    else:
        assert np.isfinite(data.y).all()


def test_unknown_dataset():
    with pytest.raises(ValueError, match=r"'mnist' is not known; allowed: breast_cancer, .*, xor"):
        load_dataset("mnist")
