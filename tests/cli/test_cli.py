"""The command line as its users meet it: what it prints, and its exit status."""

import os
import subprocess
import sys

import numpy as np
import pytest
from commands import refused, run, run_json, without_compiling
from typer.testing import CliRunner

import numbabp as nbp
from numbabp.cli import smoke
from numbabp.cli.app import app, train
from numbabp.cli.console import naming_options, new_table, print_table
from numbabp.devices import memory
from numbabp.loading import load_metadata, load_with_metadata, save

NOTEBOOK_LOSSES = {
    0: 3.4737521571212318,
    65: 3.491876218919175,
    66: 3.4891911065517616,
    127: 2.968925623935632,
    128: 2.955637323757989,
    181: 1.7989431569565686,
}


def write_quadrants(path, n=400, header="a,b,y"):
    """Two features, and whether they have the same sign."""
    rows = np.random.RandomState(0).standard_normal((n, 2))
    lines = [f"{a:.4f},{b:.4f},{'same' if a * b > 0 else 'other'}" for a, b in rows]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


# The program


def test_version_and_help():
    assert run("--version").stdout == f"numbabp {nbp.__version__}\n"
    for arguments in ([], ["--help"]):
        output = run(*arguments).stdout
        assert all(
            command in output
            for command in ("demo", "smoke", "train", "sweep", "predict", "evaluate", "info")
        )
        assert output.isascii()


def test_help_lists_all_names():
    """It is written down, so that help needs no compiler; and the list of commands has whole sentences."""
    from numbabp.functions.activations import HIDDEN_ACTIVATIONS
    from numbabp.kernels.update_rules import UPDATE_RULES
    from numbabp.schedules import SCHEDULE_OPTIONS

    text = " ".join(run("train", "--help").stdout.split())
    for names in (HIDDEN_ACTIVATIONS, UPDATE_RULES, SCHEDULE_OPTIONS):
        assert f"{', '.join(names)}." in text
    text = " ".join(run("sweep", "--help").stdout.split())
    assert f"{', '.join(name for name in SCHEDULE_OPTIONS if name != 'adaptive')}." in text
    assert "..." not in run("--help").stdout.partition("Commands")[2]


def test_a_rule_of_all_rows_needs_no_size_of_its_steps(folder):
    folds = run_json("train", "--dataset", "iris", "--update-rule", "rprop", "--cv", 4)["cross_validation"]
    assert folds["network"]["mean"] > 0.9
    result = run_json("sweep", "--dataset", "iris", "--update-rule", "rprop", "--seeds", 2, "--hidden", 4)
    assert result["settings"][0]["score_median"] > 0.8
    assert "--batch-size 7 takes" in refused(
        "train", "--dataset", "iris", "--update-rule", "rprop", "--batch-size", 7
    )


def test_the_penalty_is_that_of_linear_models(folder):
    """Half the squared weights beside the sum of the rows' losses, as Ridge(alpha=1) and C=1 have it."""
    told = run_json("train", "--dataset", "iris", "--epochs", 3)
    same = run_json("train", "--dataset", "iris", "--epochs", 3, "--l2", 1 / told["n_training"])
    none = run_json("train", "--dataset", "iris", "--epochs", 3, "--l2", 0)
    assert told["history"]["loss"] == same["history"]["loss"] != none["history"]["loss"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["nosuch"],
            "No such command 'nosuch'; there are: smoke, train, ",
        ),
        (["trian"], "No such command 'trian'. Did you mean 'train'?"),
        (["demo", "nosuch"], "No such command 'nosuch'; there are: xor, spirals."),
        (["train", "--epoch", 1], "No such option: --epoch (Possible options: --epochs"),
        (["predict"], "Missing argument"),
        (["train", "--nosuch"], "No such option: --nosuch"),
        (["train", "--epochs", "many"], "--epochs"),
        (["train", "--task", "guess"], "'classification'"),
        (["train", "--seed", "-1"], "--seed"),
    ],
)
def test_wrong_command_lines(arguments, message):
    assert message in refused(*arguments)


def test_commands_of_commands_are_shown_where_none_is_given():
    for arguments in ((), ("demo",)):
        assert run(*arguments).stdout == run(*arguments, "--help").stdout
    assert "xor" in run("demo").stdout


def test_as_a_program(folder):
    def program(*arguments, **options):
        return subprocess.run(
            [sys.executable, "-m", "numbabp", *arguments], capture_output=True, text=True, **options
        )

    assert program("--version").stdout == f"numbabp {nbp.__version__}\n"
    failed = program("train", "absent.csv", "--target", "y")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == "numbabp: absent.csv: there is no such file.\n"
    ascii_only = program("info", env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert ascii_only.returncode == 0
    assert "\x1b" not in ascii_only.stdout


def test_reader_that_has_gone():
    read, write = os.pipe()
    os.close(read)
    program = subprocess.run(
        [sys.executable, "-m", "numbabp", "demo", "xor", "--faithful"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert without_compiling(program.stderr) == ""
    assert program.returncode == 1


def test_our_own_errors_are_not_blamed_on_the_user(monkeypatch):
    def fail(*arguments, **options):
        raise OverflowError("too big")

    monkeypatch.setattr(nbp.Network, "fit", fail)
    result = CliRunner().invoke(app, ["train", "--dataset", "xor"])
    assert isinstance(result.exception, OverflowError)


# brackets, which rich would take for markup


def test_brackets_in_what_is_printed_stay(folder, monkeypatch):
    message = "install it with: pip install 'numbabp[cuda13]' [bold]:smile:"
    monkeypatch.setattr("numbabp.devices.placement.describe_gpu", lambda: message)
    assert message in run("info").stdout
    assert refused("train", "d[1].csv", "--target", "y") == "numbabp: d[1].csv: there is no such file."
    data = write_quadrants(folder / "d[1].csv", header="[red]x,b[/red],y")
    assert "'[/y]'" in refused("train", data.name, "--target", "[/y]")
    done = run("train", data.name, "--target", "y", "--epochs", 1, "--output", "[green]net")
    assert "saved to [green]net" in done.stdout
    (folder / "[new].csv").write_text("[red]x,c\n1,2\n")
    line = refused("predict", "[green]net", "[new].csv")
    assert "[new].csv" in line
    assert "b[/red]" in line
    assert "[p].csv" in run("predict", "[green]net", data.name, "--output", "[p].csv").stdout


def test_brackets_in_cells_and_headings_of_tables_stay(capsys):
    table = new_table("[red]x", ":smile:")
    table.add_row("[/red]", "data[1].csv")
    print_table(table)
    printed = capsys.readouterr().out.split()
    assert printed[:2] == ["[red]x", ":smile:"]
    assert printed[-2:] == ["[/red]", "data[1].csv"]


def test_tables_are_as_wide_as_columns_says(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, run("info").stdout.splitlines())) <= 80


# demo, smoke, info


def test_demo_learns():
    output = run("demo", "xor").stdout
    assert "epoch   0   loss 6.77443     accuracy 25 %\n" in output
    assert "just before its update" in output
    assert output.endswith("Learnt: every output is on the right side of 1/2.\n")


def test_faithful_demo_prints_the_figures_of_the_notebook():
    printed = {}
    for line in run("demo", "xor", "--faithful").stdout.splitlines():
        if line.startswith("epoch"):
            _, epoch, _, loss, _, accuracy, _ = line.split()
            printed[int(epoch)] = float(loss), float(accuracy)
    assert list(printed) == list(range(200))
    for epoch, loss in NOTEBOOK_LOSSES.items():
        assert printed[epoch][0] == pytest.approx(loss, rel=1e-12)
    assert [printed[epoch][1] for epoch in (0, 65, 127, 181)] == [25, 25, 50, 100]
    in_json = run_json("demo", "xor", "--faithful")
    assert in_json["loss"] == [printed[epoch][0] for epoch in range(200)]


def test_zero_initialisation_demo():
    output = run("demo", "xor", "--zeros").stdout
    assert "0.00150060" in output
    assert "-0.00013937" in output
    assert "0.00877009" in output
    result = run_json("demo", "xor", "--zeros")
    assert result["loss"][:2] == pytest.approx([2.383938269247035, 2.3940150790588524], rel=1e-12)
    assert result["accuracy"] == [100, 75, 50, 50, 50]
    first, second = result["weights_by_epoch"][1]
    assert first == [pytest.approx([3.07843345e-03] * 10), pytest.approx([6.32326402e-05] * 10)]
    assert second == [pytest.approx([0.03001629])] * 10


def test_zero_initialisation_demo_tells_what_is_due_to_its_rate():
    """Down the gradient the units stay equal, too, but the loss falls and three samples come right."""
    output = run("demo", "xor", "--zeros").stdout
    assert "learning rate -1, so that every step climbs" in output
    assert "the hidden units differ by 0, and 3 of the 4 outputs" in output
    assert "4 of 4 outputs are right" in output
    result = run_json("demo", "xor", "--zeros")
    found = result["descending"]
    assert (result["learning_rate"], found["learning_rate"]) == (-1, 1)
    assert found["last_loss"] < found["first_loss"]
    assert (found["difference_of_units"], found["accuracy"]) == (0, 75)
    network = nbp.Network((2, 10, 1), loss="binary_cross_entropy", init="zeros", random_state=0)
    history = network.fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], learning_rate=1.0, epochs=500)
    assert 4 * history.loss[-1] == pytest.approx(found["last_loss"], rel=1e-12)
    assert np.ptp(network.weights[0], axis=1).max() == np.ptp(network.weights[1]) == 0


def test_plot(folder):
    pytest.importorskip("matplotlib")
    assert "curves drawn into a.png" in run("demo", "xor", "--plot", "a.png").stderr
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")
    assert ".png, .svg or .pdf" in refused("demo", "xor", "--plot", "a.txt")
    assert "there is no folder absent" in refused("demo", "xor", "--plot", "absent/a.png")


def test_plot_without_matplotlib(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "needs matplotlib" in refused("demo", "xor", "--plot", "a.png")


def test_demo_takes_one_experiment():
    assert "choose one" in refused("demo", "xor", "--zeros", "--faithful")


@pytest.mark.once  # the gate runs it on every Python
def test_smoke():
    output = run("smoke").stdout
    on_gpu = [kernel for kernel in smoke.TRIALS if kernel.device == "cuda"]
    missing = smoke.why_no_gpu()
    assert {"thread", "warp", "block"} <= {kernel.name for kernel in on_gpu}
    assert "CUPS: weights updated a second; largest error: relative" in " ".join(output.split())
    on_cpu = [kernel for kernel in smoke.TRIALS if kernel.device == "cpu"]
    assert output.count("pass") == 2 * len(on_cpu) + (0 if missing else 2 * len(on_gpu))
    result = run_json("smoke")
    assert result["passed"] is True
    ran = [row for row in result["rows"] if row["passed"] is not None]
    assert all(row["ns_per_step"] > 0 and row["cups"] > 0 for row in ran)
    others = [row for row in result["rows"] if row["passed"] is None]
    assert {(row["device"], row["dtype"]) for row in ran} >= {("cpu", "float64"), ("cpu", "float32")}
    if missing:  # every kernel is named, and the reason once
        expected = [("cuda", kernel.name, dtype) for dtype in smoke.DTYPES for kernel in on_gpu]
        assert [(row["device"], row["kernel"], row["dtype"]) for row in others] == expected
        first, *rest = [row["note"] for row in others]
        assert first == f"no GPU here: {missing}"
        assert set(rest) == {"no GPU here"}
    else:
        assert not others


def test_smoke_fails_when_a_figure_is_off(monkeypatch):
    monkeypatch.setitem(smoke.FAITHFUL_LOSSES, 0, 3.4737521571)
    assert "FAIL" in run("smoke", status=1).stdout
    assert run_json("smoke", status=1)["passed"] is False


def test_a_kernel_for_gpus_that_breaks_is_a_failure(monkeypatch):
    def break_down(kernel, dtype):
        raise RuntimeError("out of order")

    broken = smoke.Trial("cuda", "thread", break_down, break_down)
    monkeypatch.setattr(smoke, "TRIALS", [broken])
    monkeypatch.setattr(smoke, "why_no_gpu", lambda: "")
    rows = run_json("smoke", status=1)["rows"]
    assert [(row["passed"], row["note"]) for row in rows] == [(False, "RuntimeError: out of order")] * 2


def test_info():
    output = run("info").stdout
    facts = run_json("info")
    assert facts["gpu"] == f"none: {memory.why_no_gpu()}" or "compute capability" in facts["gpu"]
    assert facts["numbabp"] == nbp.__version__
    for name in ("python", "numba", "processor", "vector extensions", "threads", "gpu", "cache folder"):
        assert name in facts
        assert name in output


# train and predict


def test_train_and_predict(folder):
    write_quadrants(folder / "data.csv")
    output = run("train", "data.csv", "--target", "y", "--output", "net").stdout
    assert "2-100-1 network, 320 training rows" in output
    assert "validation accuracy" in output
    model = nbp.load("net")
    assert model.network.layer_sizes == (2, 100, 1)
    assert model.columns == ["a", "b"]

    # columns are found by name; others do not matter
    (folder / "new.csv").write_text("b,other,a\n1,x,1\n-1,y,1\n1,z,-1.5\n")
    lines = run("predict", "net", "new.csv").stdout.splitlines()
    assert lines[0] == "y,P(other),P(same)"
    assert [line.split(",")[0] for line in lines[1:]] == ["same", "other", "other"]
    run("predict", "net", "new.csv", "--output", "out.csv")
    assert (folder / "out.csv").read_text().splitlines() == lines
    result = run_json("predict", "net", "new.csv")
    assert result["y"] == ["same", "other", "other"]
    assert np.add(result["P(same)"], result["P(other)"]) == pytest.approx([1, 1, 1])


def test_training_is_repeatable(folder):
    write_quadrants(folder / "data.csv")
    for name in ("one", "two"):
        run("train", "data.csv", "--target", "y", "--output", name, "--seed", 3, "--epochs", 2)
    one, two = (nbp.load(name).network.parameters for name in ("one", "two"))
    assert np.array_equal(one, two)


def test_train_a_regression(folder):
    x = np.linspace(-2, 2, 300)
    np.savez("data.npz", X=np.column_stack([1000 + 100 * x, x**2]), y=1e6 * np.sin(x) + 5e6)
    result = run_json("train", "data.npz", "--target", "y", "--output", "net", "--hidden", "20,10")
    assert result["layer_sizes"] == [2, 20, 10, 1]
    assert result["metric"] == "R^2"
    assert result["scores"]["validation"] > 0.95
    assert len(result["history"]["validation_loss"]) == 50
    predicted = run_json("predict", "net", "data.npz")["y"]
    assert np.corrcoef(predicted, np.sin(x))[0, 1] > 0.98
    assert np.mean(predicted) == pytest.approx(5e6, rel=0.05)


def test_train_several_classes_from_parquet(folder):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rng = np.random.RandomState(0)
    classes = np.repeat([3, 10, 20], 50)
    columns = {"x": classes + rng.standard_normal(150), "id": np.arange(150).astype(str), "kind": classes}
    parquet.write_table(pa.table(columns), "data.parquet")
    run("train", "data.parquet", "--target", "kind", "--ignore", "id", "--output", "net")
    result = run_json("predict", "net", "data.parquet")
    assert np.mean(np.array(result["kind"]) == classes.astype(str)) > 0.95
    assert {"P(3)", "P(10)", "P(20)"} < set(result)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("xor", [2, 100, 1]),
        ("iris", [4, 100, 3]),
        ("wine", [13, 100, 3]),
        ("breast_cancer", [30, 100, 1]),
        ("digits", [64, 100, 10]),
        ("diabetes", [10, 100, 1]),
    ],
)
def test_train_on_bundled_data(name, sizes):
    result = run_json("train", "--dataset", name)
    assert result["layer_sizes"] == sizes
    if name == "xor":
        assert result["n_validation"] == 0
        assert result["scores"] == {"training": 1}
    elif name != "diabetes":  # of few rows the split decides
        others = (run_json("train", "--dataset", name, "--seed", seed) for seed in (1, 2))
        scores = [r["scores"]["validation"] for r in (result, *others)]
        assert np.mean(scores) > 0.95


def test_options_reach_the_training(folder):
    result = run_json(
        *("train", "--dataset", "iris", "--hidden", "", "--epochs", 3, "--update-rule", "adam"),
        *("--batch-size", 8, "--schedule", "cosine", "--learning-rate", 0.02, "--dtype", "float64"),
        *("--validation-fraction", 0, "--l2", 0.001, "--output", "net"),
    )
    assert result["layer_sizes"] == [4, 3]
    assert result["n_training"] == 150
    assert result["history"]["learning_rate"] == pytest.approx([0.02, 0.015, 0.005])
    assert nbp.load("net").network.dtype == np.float64


DEVICES = [("train", "--dataset", "iris"), ("sweep", "--dataset", "iris", "--seeds", 2)]


@pytest.mark.parametrize("command", DEVICES, ids=["train", "sweep"])
def test_devices(folder, command, monkeypatch):
    asked = []
    for model in (nbp.Network, nbp.Population):

        def fit(self, *samples, _fit=model.fit, **options):
            asked.append(options["device"])
            return _fit(self, *samples, **{**options, "device": "cpu"})

        monkeypatch.setattr(model, "fit", fit)
    for device in ("auto", "cpu", "cuda:1"):
        run(*command, "--epochs", 1, "--device", device)
    run(*command, "--epochs", 1)
    assert asked == ["auto", "cpu", "cuda:1", "auto"]


@pytest.mark.parametrize("command", DEVICES, ids=["train", "sweep"])
def test_devices_that_there_are_not(folder, command):
    message = "--device gpu is not known; allowed: 'auto', 'cpu', 'cuda', or 'cuda:0', 'cuda:1'"
    assert message in refused(*command, "--device", "gpu")
    absent = refused(*command, "--device", "cuda:99")
    assert absent.startswith("numbabp: --device cuda:99 is asked for, but ")
    if memory.why_no_gpu():
        assert absent.endswith(f"but {memory.why_no_gpu()}.")


BAD_TABLES = {
    "": "the file is empty",
    "\n": "first line is blank",
    "a,b,y\n": "no rows below the header",
    "a,b,y\n1,2,0\n": "nothing to learn",
    "a,b,y\n1,2,0\n3,4,0\n5,6,0\n": "target 'y' is 0.0 in every row",
    "a,b,y\n1,2,0\n3,4\n": "line 3 has 2 fields, but the header has 3",
    "a,b,y\n1,2,0\n3,4,\n": "column 'y' has no value in row 2",
    "a,b,y\n1,inf,0\n3,4,1\n": "column 'b' has an infinite value in row 1",
    "a,b,y\n1,1e200,0\n3,-1e200,1\n5,0,1\n": "column 'b' has values too large",
    "a,b,z\n1,2,0\n3,4,1\n": "there is no column 'y'; there are: 'a', 'b', 'z'",
    "y\n1\n0\n": "no column besides the target",
}


@pytest.mark.parametrize("content", BAD_TABLES)
def test_bad_tables(folder, content):
    (folder / "data.csv").write_text(content)
    (folder / "net").write_text("old")
    line = refused("train", "data.csv", "--target", "y", "--output", "net", "--validation-fraction", 0)
    assert BAD_TABLES[content] in line
    assert "data.csv" in line or "too large" in line
    assert (folder / "net").read_text() == "old"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hidden", "many"], "--hidden must be numbers of units"),
        (["--hidden", "0"], "--hidden must be numbers of units"),
        (["--hidden", "10,,5"], "--hidden must be numbers of units"),
        (["--hidden", "100000000,100000000"], "not enough memory"),
        (["--activation", "step"], "--activation step is not known; allowed: elu"),
        (["--update-rule", "newton"], "--update-rule newton is not known; allowed: adagrad"),
        (["--schedule", "daily"], "--schedule daily is not known; allowed: adaptive"),
        (["--dtype", "int8"], "allowed: 'float32', 'float64'"),
        (["--epochs", "0"], "numbabp: --epochs must be at least 1, got 0"),
        (["--batch-size", "0"], "numbabp: --batch-size must be at least 1, got 0"),
        (["--learning-rate", "0"], "numbabp: --learning-rate must not be 0"),
        (["--learning-rate", "nan"], "numbabp: --learning-rate must be finite"),
        (["--learning-rate", "1e30"], "training diverged in epoch 0"),
        (["--l2", "-1"], "numbabp: --l2 must be finite and at least 0"),
        (["--validation-fraction", "1"], "--validation-fraction must be at least 0 and less than 1"),
        (["--validation-fraction", "nan"], "--validation-fraction must be at least 0 and less than 1"),
        (["--task", "regression"], "use --task classification"),
        (["--target", "nosuch"], "there is no column 'nosuch'; there are: 'a', 'b', 'y'"),
        (["--ignore", "nosuch"], "there is no column 'nosuch'"),
        (["--output", "absent/net"], "there is no folder absent"),
        (["--output", "."], "not a regular file"),
        (["--dataset", "iris"], "either a file or --dataset"),
    ],
)
def test_bad_options(folder, arguments, message):
    write_quadrants(folder / "data.csv", 50)
    assert message in refused("train", "data.csv", "--target", "y", *arguments)
    assert os.listdir(folder) == ["data.csv"]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "batch_size=3 takes parts; set batch_size=120.",
            "--batch-size 3 takes parts; set --batch-size 120.",
        ),
        ("hidden_activation='no' is not known.", "--activation no is not known."),
        ("random_state must be a seed.", "--seed must be a seed."),
        ("there are: 'epochs', 'a', text.", "there are: 'epochs', 'a', text."),
        ("epochs.csv: there is no file; the text must be in Latin.", None),
        ("/data/n_epochs=3/learning_rate=0: not there", None),
        ("--epochs must be at least 1.", None),
    ],
)
def test_options_are_named_for_arguments(message, told):
    assert naming_options(message, train) == (told or message)


def test_what_is_to_be_trained_on_must_be_clear(folder):
    write_quadrants(folder / "data.csv", 50)
    assert "either a file or --dataset" in refused("train")
    assert "--target" in refused("train", "data.csv")
    assert "a --dataset has its own" in refused("train", "--dataset", "iris", "--target", "y")


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(folder):
    write_quadrants(folder / "data.csv", 50)
    (folder / "locked").mkdir(mode=0o500)
    assert "no permission" in refused("train", "data.csv", "--target", "y", "--output", "locked/net")


def test_bad_predictions(folder):
    write_quadrants(folder / "data.csv", 50)
    run("train", "data.csv", "--target", "y", "--output", "net", "--epochs", 1)
    assert "No such file" in refused("predict", "absent", "data.csv")
    assert "no such file" in refused("predict", "net", "absent.csv")
    assert "not a safetensors file" in refused("predict", "data.csv", "data.csv")
    (folder / "short").write_bytes((folder / "net").read_bytes()[:300])
    assert "truncated" in refused("predict", "short", "data.csv")
    (folder / "fewer.csv").write_text("a,y\n1,2\n")
    assert "there is no column 'b'" in refused("predict", "net", "fewer.csv")
    (folder / "missing.csv").write_text("a,b\n1,\n")
    assert "1 missing values set to the mean" in run("predict", "net", "missing.csv").stderr
    (folder / "text.csv").write_text("a,b\n1,2\n1,x\n")
    assert "column 'b': 'x' in row 2" in refused("predict", "net", "text.csv")
    assert "no folder absent" in refused("predict", "net", "data.csv", "--output", "absent/out.csv")


def test_predict_with_other_networks(folder):
    write_quadrants(folder / "data.csv", 5)
    nbp.Network((2, 3, 1), loss="binary_cross_entropy").save("net")
    assert "not one saved by numbabp train" in refused("predict", "net", "data.csv")


DAMAGE = [
    (("target", "classes"), [], "classes must be null, or at least two labels"),
    (("target", "classes"), ["a", 1], "classes must be null, or at least two labels"),
    (("target", "classes"), ["b", "a"], "classes must be sorted"),
    (("target", "classes"), [1, 10**400], "int64"),
    (("target", "classes"), ["a", "b", "c"], "take 3 outputs, but the network has 2 and 1"),
    (("target", "names"), 3, "names must be a list of names"),
    (("target", "scale"), ["1"], "scale must be numbers"),
    (("preparation", "columns"), ["a"], "must be a list of 1 numbers"),
    (("preparation", "columns"), [["a"], ["b"]], "columns must be a list of names"),
    (("preparation", "columns"), ["a", "a"], "no name twice"),
    (("preparation", "mean"), [10**400, 0], "mean must be within float64"),
    (("preparation", "mean"), [True, 0], "mean must be numbers"),
    (("preparation", "mean"), None, "mean must be a list of 2 numbers"),
    (("preparation", "scale"), [1, 0], "scale must be finite and positive"),
    (("preparation", "kinds"), {"a": "colour"}, "kinds must be"),
    (("preparation", "categories"), {"a": {}}, "has_missing and has_rare"),
    (("preparation", "gaps"), ["c"], "gaps must be columns of numbers"),
    (("format",), 9, "format 9 is not known"),
    (("preparation",), [], "preparation must be an object"),
]


@pytest.mark.parametrize(("keys", "value", "message"), DAMAGE)
def test_damaged_metadata(folder, keys, value, message):
    write_quadrants(folder / "data.csv", 50)
    run("train", "data.csv", "--target", "y", "--output", "net", "--epochs", 1)
    described = load_metadata("net")
    part = described["table"]
    for key in keys[:-1]:
        part = part[key]
    for damage in ("changed", "gone"):
        if damage == "changed":
            part[keys[-1]] = value
        else:
            del part[keys[-1]]
        save(
            nbp.load("net").network if damage == "changed" else load_with_metadata("net")[0], "net", described
        )
        line = refused("predict", "net", "data.csv")
        assert "net: what its metadata say of columns and classes can't be right" in line
        assert damage == "gone" or message in line
        with pytest.raises(ValueError, match="can't be right"):
            nbp.load("net")
