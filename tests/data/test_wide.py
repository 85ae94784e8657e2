"""Tables of many columns and few rows: what is done to a column does not depend on how many there are."""

import time

import numpy as np

from numbabp.cli.parameters import Source, Task
from numbabp.data.files.reading import Reading
from numbabp.data.split import Split


def seconds_for(folder, n_columns):
    """Of the processor, from the file to inputs and targets."""
    values = np.random.RandomState(0).standard_normal((10, n_columns)).round(3).astype(str)
    lines = [",".join([*(f"c{j}" for j in range(n_columns)), "y"])]
    lines += [",".join([*row, str(i % 2)]) for i, row in enumerate(values)]
    (folder / "wide.csv").write_text("\n".join(lines))
    began = time.process_time()
    samples = Source(folder / "wide.csv", ["y"], None, Task.auto, "", Reading()).samples()
    split = Split.of(samples, 0.2, 0)
    assert split.inputs.shape == (8, n_columns)
    return time.process_time() - began


def test_time_grows_with_the_columns_no_faster_than_their_number(tmp_path):
    seconds_for(tmp_path, 10)  # imports
    few, many = (min(seconds_for(tmp_path, n) for _ in range(2)) for n in (1250, 20_000))
    assert many < 3 * 16 * few  # in 16 times the columns; with a search for each it would be 256
