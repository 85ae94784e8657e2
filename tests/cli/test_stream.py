"""`numbabp stream`: what it prints, what it saves, and what it refuses."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import reference
from commands import run, run_json, without_compiling

import numbabp as nbp


def write_table(path, n, seed=0, separator=",", decimal="."):
    """Three numbers, and whether a point lies in a ball."""
    random = np.random.RandomState(seed)
    X = random.randn(n, 3) * [1, 10, 0.1] + [0, 5, -2]
    inside = (((X - [0, 5, -2]) / [1, 10, 0.1]) ** 2).sum(axis=1) < 2.4
    rows = [
        [*(f"{x:.6g}".replace(".", decimal) for x in row), "ny"[int(y)]]
        for row, y in zip(X, inside, strict=True)
    ]
    text = "\n".join(map(separator.join, [["a", "b", "c", "inside"], *rows])) + "\n"
    path.write_text(text)
    return X, inside


def lines_told(printed):
    """Rows at which there is a line of figures."""
    return [int(rows.replace(",", "")) for rows in re.findall(r"^ +([\d,]+) +\d", printed, re.MULTILINE)]


def refused_later(*arguments):
    """The line on standard error of a run that ends with status 2, perhaps after it has printed figures."""
    return without_compiling(run("stream", *arguments, status=2).stderr).removesuffix("\n")


def parameters_and_pipeline(path):
    model = nbp.load(path)
    return model.network.parameters.tobytes(), model.preparation.as_json(), model.target.as_json()


def test_a_model_that_predict_takes(folder):
    write_table(folder / "t.csv", 9000)
    write_table(folder / "later.csv", 2000, seed=1)
    printed = run("stream", "t.csv", "--target", "inside", "--hidden", "16", "--output", "m.net").stdout
    told = lines_told(printed)
    assert [1 << n.bit_length() - 1 for n in told[:-1]] == [1024, 2048, 4096, 8192]
    assert told[-1] == 9000
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


def train_by_hand(X, targets, learning_rate, seed):
    """What is promised, in NumPy: mean and spread of all rows up to the end of a batch, one step a row."""
    model = nbp.load("m.net")
    ends = [256, 512, 1024, len(X)]
    prepared, start = np.empty_like(X), 0
    for end in ends:
        rows = X[: max(end, LOOK)]
        prepared[start:end] = (X[start:end] - rows.mean(axis=0)) / rows.std(axis=0)
        start = end
    network = nbp.Network(
        **model.pipeline.network_arguments((4,), "tanh", "float64"),
        random_state=seed,
    )
    return reference.train(
        network.weights,
        network.biases,
        prepared,
        targets,
        activations=["tanh", "sigmoid"],
        loss="binary_cross_entropy",
        learning_rates=[learning_rate],
    )


LOOK = 300


def test_what_is_learnt_is_what_is_promised(folder):
    _, inside = write_table(folder / "t.csv", 1500)
    options = ["--hidden", "4", "--activation", "tanh", "--dtype", "float64", "--look", LOOK, "--seed", 3]
    options += ["--learning-rate", 0.05, "--output", "m.net"]
    found = run_json("stream", "t.csv", "--target", "inside", *options)
    X = np.loadtxt("t.csv", delimiter=",", skiprows=1, usecols=[0, 1, 2])
    trained = train_by_hand(X, inside.astype(float)[:, None], 0.05, 3)
    model = nbp.load("m.net")
    for layer in range(2):
        np.testing.assert_allclose(
            model.network.weights[layer], trained.weights[layer], rtol=1e-9, atol=1e-11
        )
        np.testing.assert_allclose(model.network.biases[layer], trained.biases[layer], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(model.preparation.mean, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.preparation.scale, X.std(axis=0), rtol=1e-12)
    last = found["progress"][-1]
    assert last["rows"] == 1500
    np.testing.assert_allclose(last["over_all"]["loss"], trained.loss[0], rtol=1e-9)


def test_all_kinds_of_columns(folder):
    random = np.random.RandomState(0)
    rows = ["city;size;day;big;user;price"]
    for k in range(3000):
        city = random.choice(["Aachen", "Bonn", "Ulm"] if k > 2000 else ["Aachen", "Bonn"])
        number = random.randn()
        size = "n.d." if k > 1500 and k % 10 == 0 else f"{number:.3f}".replace(".", ",")
        price = f"{10 + 3 * (city == 'Bonn') + number:.3f}".replace(".", ",")
        day, user = f"{k % 28 + 1:02}.05.2024", f"u{random.randint(2000)}"
        rows.append(";".join([city, size, day, str(k % 2 == 0), user, price]))
    text = "\n".join(rows)
    (folder / "t.csv").write_text(text)
    for options in ([], ["--hash", "64"]):
        printed = run(
            *("stream", "t.csv", "--target", "price", "--look", 1000, "--missing", "n.d.", "--hidden", 16),
            *("--output", "m.net", *options),
        ).stdout
        assert "decimal commas in 'size', 'price'" in printed
        assert "standardised dates, as days since 1970: 'day'" in printed
        assert "column 'size': 149 missing values set to the mean; the first rows missed none" in printed
        if options:
            assert "hashed into 64 inputs: 'city', 'user'" in printed
        else:
            assert "'city': 2 categories, missing, the rare" in printed
            assert "left out: 'user' is different in almost every row" in printed
        assert float(re.search(r"R\^2 +(\S+)", run("evaluate", "m.net", "t.csv").stdout)[1]) > 0.9


def test_classes_that_come_later(folder):
    rows = [f"{k % 7},{'abc'[k % 2 if k < 500 else 2]}" for k in range(600)]
    (folder / "t.csv").write_text("\n".join(["x,y", *rows]) + "\n")
    options = ["stream", "t.csv", "--target", "y", "--look", 100, "--hidden", "none"]
    assert refused_later(*options[1:]) == (
        "numbabp: t.csv: column 'y' has c in row 501, which is not one of the 2 classes that were learnt. "
        "--classes names those that come later."
    )
    found = run_json(*options, "--classes", "c", "--output", "m.net")
    assert found["layer_sizes"] == [1, 3]
    assert nbp.load("m.net").classes_.tolist() == ["a", "b", "c"]


def test_several_passes(folder):
    write_table(folder / "t.csv", 700)
    options = ["stream", "t.csv", "--target", "inside", "--hidden", 8, "--learning-rate", 0.1]
    once, often = run_json(*options), run_json(*options, "--passes", 5)
    assert once["progress"][-1]["rows"] == 700
    assert often["progress"][-1]["rows"] == 3500
    assert often["progress"][-1]["over_all"]["loss"] < once["progress"][-1]["over_all"]["loss"]


def test_a_model_below_a_constant_is_told_of(folder):
    write_table(folder / "t.csv", 3000)
    result = run("stream", "t.csv", "--target", "inside", "--learning-rate", 1e-9)
    assert "numbabp: warning: the loss over the last" in result.stderr
    assert "is no better than a constant's" in result.stderr


def test_what_is_refused(folder):
    write_table(folder / "t.csv", 300)
    lines = (folder / "t.csv").read_text().splitlines()
    (folder / "late.csv").write_text("\n".join([*lines, "1,n.d.,3,y"]) + "\n")
    (folder / "gap.csv").write_text("\n".join([*lines, "1,2,3,"]) + "\n")
    (folder / "infinite.csv").write_text("\n".join([*lines, "1,inf,3,y"]) + "\n")
    (folder / "header.csv").write_text("a,b\n")
    (folder / "empty.csv").touch()
    np.save("t.npy", np.zeros((3, 3)))

    def refusal(path, *options):
        line = refused_later(path, "--target", "inside", "--look", 100, *options)
        assert line.startswith("numbabp: ")
        assert "\n" not in line
        return line

    assert "there is no such file" in refusal("none.csv")
    assert "the file is empty" in refusal("empty.csv")
    assert "no rows" in refusal("header.csv")
    assert "(npy) are not streamed" in refusal("t.npy")
    assert "there is no column 'z'" in refusal("t.csv", "--ignore", "z")
    assert "column 'b': 'n.d.' in row 301 is no number" in refusal("late.csv")
    assert "'inside' has no value in row 301" in refusal("gap.csv")
    assert "column 'b' has an infinite value in row 301" in refusal("infinite.csv")
    assert "--learning-rate" in refusal("t.csv", "--learning-rate", 1e30, "--activation", "identity")
    assert "would replace the data" in refusal("t.csv", "--output", "./t.csv")
    assert "'--hash'" in refusal("t.csv", "--hash", 100000)
    assert "rprop" in refusal("t.csv", "--update-rule", "rprop")


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_pipe_that_stays_open(folder, stop):
    write_table(folder / "t.csv", 30_000)
    content = (folder / "t.csv").read_bytes()
    command = [sys.executable, "-m", "numbabp", "stream", "-", "--target", "inside", "--hidden", "4"]
    with subprocess.Popen(
        [*command, "--output", "m.net"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        program.stdin.write(content)
        program.stdin.flush()
        for line in program.stdout:
            if lines_told(line.decode()) and lines_told(line.decode())[0] >= 8192:
                break
        time.sleep(0.3)
        program.send_signal(stop)
        start = time.monotonic()
        assert program.wait(timeout=60) == 128 + stop
        assert time.monotonic() - start < 10
        said = program.stderr.read().decode()
    assert "the network as it was is saved to m.interrupted.net" in said
    assert "warning" not in said
    assert nbp.load("m.interrupted.net").score("t.csv") > 0.7


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_stream_goes_on_from_its_checkpoint(folder):
    write_table(folder / "t.csv", 40_000)
    options = ["stream", "t.csv", "--target", "inside", "--hidden", "64x64", "--update-rule", "adam"]
    wanted = run_json(*options, "--output", "whole.net")
    with subprocess.Popen(
        [sys.executable, "-m", "numbabp", *options, "--checkpoint", "run.st"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        for line in program.stdout:
            if lines_told(line):
                program.send_signal(signal.SIGTERM)
                break
        _, said = program.communicate(timeout=100)
    assert program.returncode == 143, said
    assert "the stream is kept in run.st: the same command again goes on from there" in said
    for output in ("rest.net", "again.net"):  # the second time it is at its end
        found = run_json(*options, "--checkpoint", "run.st", "--output", output)
        assert json.dumps(found["progress"]) == json.dumps(wanted["progress"])
        assert parameters_and_pipeline(output) == parameters_and_pipeline("whole.net")
    assert "run.st" in refused_later(*options[1:], "--checkpoint", "run.st", "--seed", 1)
