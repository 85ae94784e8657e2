"""Running mean and spread: those of scikit-learn's StandardScaler."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from numbabp.data.streamed.moments import Moments


@pytest.mark.parametrize("part_missing", [0, 0.2])
def test_they_are_those_of_all_rows(part_missing):
    random = np.random.RandomState(0)
    values = random.randn(3000, 6) * [1, 1e-6, 1e6, 1, 0, 0] + [0, 1e3, -1e9, 1e6, 7.3, 0]
    values[:1000, 3] = 1e6  # constant for long
    values[random.rand(*values.shape) < part_missing] = np.nan
    values[100:164, 0] = np.nan  # no value in a whole batch
    moments, scaler = Moments(6), StandardScaler()
    for start in range(0, 3000, 64):
        before = moments.mean
        copy = before.copy()
        moments.add(values[start : start + 64])
        np.testing.assert_array_equal(before, copy)
        scaler.partial_fit(values[start : start + 64])
        np.testing.assert_allclose(moments.mean, scaler.mean_, rtol=1e-12)
        np.testing.assert_allclose(moments.scale, scaler.scale_, rtol=1e-6)
    np.testing.assert_allclose(moments.mean, np.nanmean(values, axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.scale[:4], np.nanstd(values[:, :4], axis=0), rtol=1e-8)
    assert moments.scale[4:].tolist() == [1, 1]
