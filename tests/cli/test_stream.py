"""`numbabp stream`: what it prints, what it saves, and what it refuses."""

import gzip
import re
import subprocess
import sys

import numpy as np
from commands import run

import numbabp as nbp


def write_table(path, n, seed=0, separator=",", decimal="."):
    """Three numbers, and whether a point lies in a ball."""
    random = np.random.RandomState(seed)
    X = random.randn(n, 3) * [1, 10, 0.1] + [0, 5, -2]
    inside = (((X - [0, 5, -2]) / [1, 10, 0.1]) ** 2).sum(axis=1) < 2.4
    rows = [
        [*(f"{x:.6g}".replace(".", decimal) for x in row), "yn"[int(y)]]
        for row, y in zip(X, inside, strict=True)
    ]
    text = "\n".join(map(separator.join, [["a", "b", "c", "inside"], *rows])) + "\n"
    path.write_text(text)
    return X, inside


def lines_told(printed):
    """Rows at which there is a line of figures."""
    return [int(rows.replace(",", "")) for rows in re.findall(r"^ +([\d,]+) +\d", printed, re.MULTILINE)]


def parameters_and_pipeline(path):
    model = nbp.load(path)
    return model.network.parameters.tobytes(), model.preparation.as_json(), model.target.as_json()


def test_a_model_that_predict_takes(folder):
    write_table(folder / "t.csv", 9000)
    write_table(folder / "later.csv", 2000, seed=1)
    printed = run("stream", "t.csv", "--target", "inside", "--hidden", "16", "--output", "m.net").stdout
    assert lines_told(printed) == [256, 512, 1024, 2048, 4096, 8192, 9000]
    assert "saved to m.net" in printed
    run("predict", "m.net", "later.csv", "--output", "p.csv")
    assert nbp.load("m.net").score("later.csv") > 0.9
    evaluated = run("evaluate", "m.net", "later.csv").stdout
    assert "accuracy" in evaluated


def test_pipes_and_compressed_files_are_learnt_as_files_are(folder):
    write_table(folder / "t.csv", 5000)
    content = (folder / "t.csv").read_bytes()
    (folder / "t.csv.gz").write_bytes(gzip.compress(content))
    options = ["--target", "inside", "--hidden", "4", "--look", "1000"]
    run("stream", "t.csv", *options, "--output", "a.net")
    run("stream", "t.csv.gz", *options, "--output", "b.net")
    command = [sys.executable, "-m", "numbabp", "stream", "-", *options, "--output", "c.net"]
    subprocess.run(command, input=content, check=True, capture_output=True)
    wanted = parameters_and_pipeline("a.net")
    assert parameters_and_pipeline("b.net") == wanted
    assert parameters_and_pipeline("c.net") == wanted
