"""Texts hashed into inputs, as scikit-learn's FeatureHasher does, and models that do."""

import numpy as np
import pytest
from sklearn.feature_extraction import FeatureHasher

from numbabp.data.hashing import Hashing
from numbabp.data.preparation import Preparation
from numbabp.data.tables import table_of

ROWS = 200


def columns():
    random = np.random.RandomState(0)
    return {
        "x": random.randn(ROWS),
        "user": [f"u{k}" for k in random.randint(0, 150, ROWS)],
        "city": [["Köln", None, "Ulm"][k] for k in random.randint(0, 3, ROWS)],
    }


def test_it_is_the_hashing_of_scikit_learn():
    data = columns()
    found = np.zeros((ROWS, 16))
    hashing = Hashing(("user", "city"), 16)
    for name in hashing.columns:
        hashing.add(found, name, data[name])
    rows = [
        [f"{name}={data[name][k]}" for name in hashing.columns if data[name][k] is not None]
        for k in range(ROWS)
    ]
    np.testing.assert_array_equal(found, FeatureHasher(16, input_type="string").transform(rows).toarray())


def test_a_preparation_that_hashes_comes_back_from_a_file():
    table = table_of(columns())
    preparation = Preparation.fitted(table, list(table.columns), np.arange(ROWS), n_hashed=32)
    assert preparation.columns == ("x", "user", "city")  # names are kept: they are what is hashed
    assert preparation.n_inputs == 33
    assert preparation.told()[-1] == "hashed into 32 inputs: 'user', 'city'"
    again = Preparation.from_json(preparation.as_json())
    np.testing.assert_array_equal(again.matrix(table)[0], preparation.matrix(table)[0])
    of_numbers = table_of({**columns(), "user": np.arange(ROWS)})
    assert again.matrix(of_numbers)[0].shape == (ROWS, 33)  # taken as texts


@pytest.mark.parametrize(
    "damage",
    [
        {"hashing": {"columns": ["user"], "n_inputs": 32}},
        {"hashing": {"columns": ["user", "city"], "n_inputs": 0}},
        {"hashing": {"columns": ["user", "city"], "n_inputs": 1e9}},
        {"hashing": {"columns": ["user", "city"], "n_inputs": True}},
        {"hashing": []},
        {"kinds": {}},
    ],
)
def test_damaged_descriptions_are_refused(damage):
    table = table_of(columns())
    sound = Preparation.fitted(table, list(table.columns), np.arange(ROWS), n_hashed=32).as_json()
    with pytest.raises(ValueError):
        Preparation.from_json({**sound, **damage})
