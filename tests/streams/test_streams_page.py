"""The examples of docs/streams.md run, and do what the page says."""

from pathlib import Path

import numpy as np
import pytest
from pages import texts_of

PAGE = (Path(__file__).parents[2] / "docs" / "streams.md").read_text(encoding="utf-8")


def test_examples(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    blocks = texts_of(PAGE, "python")
    assert len(blocks) == 5
    names = {}
    for block in blocks:
        exec(block, names)
    points, accuracy, inputs, of_predictions = capsys.readouterr().out.strip().splitlines()
    assert f"print(history.n_samples)  # {points}" in PAGE
    assert float(accuracy.strip("[]").split()[-1]) > 0.9
    mean, scale = (np.fromstring(part.strip(" []"), sep=" ") for part in inputs.split("]")[:2])
    np.testing.assert_allclose(mean, [0, 500, 3, 0, 1e4], atol=0.5)
    np.testing.assert_allclose(scale, [1, 100, 0.01, 1, 1], atol=0.5)
    assert float(of_predictions) > 0.9
    assert names["net"].history.n_samples[-1] == 100_000
    assert (tmp_path / "stream.safetensors").exists()
