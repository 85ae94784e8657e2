"""What loggers write is what the history has, as the tools read it."""

import struct
import sys

import numpy as np
import pytest

import numbabp as nbp
from numbabp.loggers import Logger, MLflowLogger, TensorBoardLogger

pytestmark = pytest.mark.once
of_mlflow = pytest.mark.filterwarnings("ignore")
"""Its own use of others' packages warns."""

draw = np.random.RandomState(0)
X, Y = draw.standard_normal((40, 3)), draw.randint(0, 2, 40)
VALIDATION = X[:10], 1 - Y[:10]


def trained(callback, **options):
    net = nbp.Network((3, 4, 1), loss="binary_cross_entropy", random_state=0)
    return net.fit(X, Y, epochs=25, validation_data=VALIDATION, callback=callback, progress=False, **options)


def scalars(folder):
    """Values by name and step from the files of events in a folder."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found = {}
    for path in folder.iterdir():
        data, at = path.read_bytes(), 0
        while at < len(data):  # records: length, its checksum, the event, its checksum
            (length,) = struct.unpack_from("<Q", data, at)
            event = event_pb2.Event.FromString(data[at + 12 : at + 12 + length])
            at += 16 + length
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def check(found, history):
    """`found` by name and step is a history's."""
    assert set(found) == set(history)
    for name, values in history.items():
        assert sorted(found[name]) == list(range(1, len(values) + 1))
        np.testing.assert_allclose(
            [found[name][epoch + 1] for epoch in range(len(values))], values, rtol=1e-6
        )


@pytest.fixture
def mlflow(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
    yield mlflow
    while mlflow.active_run():
        mlflow.end_run()


def metrics_of(mlflow, run_id):
    client = mlflow.MlflowClient()
    return {
        name: {metric.step: metric.value for metric in client.get_metric_history(run_id, name)}
        for name in client.get_run(run_id).data.metrics
    }


def test_tensorboard_has_what_the_history_has(tmp_path):
    pytest.importorskip("tensorboardX")
    with TensorBoardLogger(tmp_path / "run") as logger:
        history = trained(logger)
    assert set(history) == {"loss", "accuracy", "validation_loss", "validation_accuracy"}
    check(scalars(tmp_path / "run"), history)


def test_networks_of_a_population_are_told_of_afterwards(tmp_path):
    pytest.importorskip("tensorboardX")
    many = nbp.Population((3, 4, 1), 3, loss="binary_cross_entropy", random_state=0)
    history = many.fit(X, Y, epochs=6, learning_rate=0.1)
    with TensorBoardLogger(tmp_path, prefix="network_2/") as logger:
        logger.log_history(history[2])
    found = {name.removeprefix("network_2/"): values for name, values in scalars(tmp_path).items()}
    check(found, {**history[2], "learning_rate": history[2].learning_rate})


def test_of_a_population_quantiles_are_written(tmp_path):
    pytest.importorskip("tensorboardX")
    many = nbp.Population((3, 4, 1), 30, loss="binary_cross_entropy", random_state=0)
    ending = np.arange(30) < 10
    with TensorBoardLogger(tmp_path) as logger:

        def look(epoch, now):
            logger(epoch, now)
            return ending if epoch == 2 else None

        history = many.fit(X, Y, epochs=6, learning_rate=0.1, callback=look)
    found = scalars(tmp_path)
    assert set(found) == {f"{name}_q{q}" for name in history for q in (10, 50, 90)} | {"n_networks"}
    assert found["n_networks"] == {1: 30, 2: 30, 3: 30, 4: 20, 5: 20, 6: 20}
    for name in history:
        for q in (10, 50, 90):
            wanted = np.nanquantile(history[name], q / 100, axis=0)
            np.testing.assert_allclose([found[f"{name}_q{q}"][e + 1] for e in range(6)], wanted, rtol=1e-6)


def test_where_all_have_diverged_there_is_only_their_number():
    class Told(Logger):
        def write(self, step, metrics):
            self.told = step, metrics

    logger = Told()
    logger(4, {"loss": np.full(3, np.nan)})
    assert logger.told == (5, {"n_networks": 0.0})


@of_mlflow
@pytest.mark.parametrize("every", [1, 7, 100])
def test_mlflow_has_what_the_history_has(mlflow, every):
    with mlflow.start_run() as run, MLflowLogger(every=every) as logger:
        history = trained(logger)
        assert logger.run_id == run.info.run_id
    check(metrics_of(mlflow, run.info.run_id), history)
    with MLflowLogger(run.info.run_id, prefix="again_") as logger:  # which has ended
        logger.log_history(history)
    found = metrics_of(mlflow, run.info.run_id)
    of_again = {name.removeprefix("again_"): found[name] for name in found if name.startswith("again_")}
    check(of_again, {**history, "learning_rate": history.learning_rate})


@of_mlflow
def test_without_a_run_mlflow_begins_one(mlflow):
    logger = MLflowLogger()
    assert mlflow.active_run().info.run_id == logger.run_id


def test_training_goes_on_whatever_is_written(tmp_path):
    pytest.importorskip("tensorboardX")
    with TensorBoardLogger(tmp_path) as logger:
        assert trained(logger).stop_reason == "finished"


@pytest.mark.parametrize(
    ("make", "needs"), [(lambda: TensorBoardLogger("x"), "tensorboardX"), (MLflowLogger, "mlflow")]
)
def test_what_is_missing_is_named(monkeypatch, make, needs):
    monkeypatch.setitem(sys.modules, needs, None)
    with pytest.raises(
        ImportError, match=rf"needs {needs}: pip install 'numbabp\[loggers\]' brings it along"
    ):
        make()


def test_every_has_to_be_at_least_one():
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        MLflowLogger(every=0)
