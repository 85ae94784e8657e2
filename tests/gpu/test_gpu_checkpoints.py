"""Runs of one network on a GPU that were stopped; on a real one or the simulated."""

from itertools import product

import numpy as np
import pytest
from checkpointing import all_versions, check_every_version_ends_alike, slices_end_anywhere

import numbabp as nbp
from numbabp import schedules
from numbabp.devices import memory

pytestmark = pytest.mark.gpu

N = 12
draw = np.random.RandomState(1)
X = draw.standard_normal((N, 3))
Y = (X[:, 0] > 0).astype(int)


@pytest.mark.parametrize(
    ("kernel", "rule", "batch_size"),
    [
        *product(("blocked", "persistent"), ("sgd", "momentum"), (1,)),
        ("persistent", "momentum", 5),
        *([] if memory.is_interpreted() else [("resident", "sgd", 1)]),  # whose blocks run at once
    ],
)
def test_from_checkpoints_a_run_ends_with_the_same_bits(tmp_path, monkeypatch, kernel, rule, batch_size):
    options = {"kernel": kernel, "update_rule": rule, "epochs": 4, "device": "cuda", "batch_size": batch_size}
    options |= {"block_length": 4} if kernel == "blocked" else {}

    def fitted(**more):
        net = nbp.Network((3, 4, 1), loss="binary_cross_entropy", random_state=0)
        history = net.fit(X, Y, learning_rate=0.1, **options, **more)
        # the persistent kernel's sums of losses end with a launch: their last bit depends on where that is
        losses = history.loss.round(12).tolist() if kernel == "persistent" else history.loss.tolist()
        found = {**history.to_dict(), "loss": losses, "seconds": 0}
        state = net.rule_state(rule)
        return net.parameters.tobytes(), state.moments.tobytes(), int(state.steps), found

    slices_end_anywhere(monkeypatch, N)
    expected = fitted()
    written, path = all_versions(monkeypatch), tmp_path / "run"
    assert fitted(checkpoint=path, checkpoint_every=0) == expected
    assert len(written) > 3
    for version in written[1::3] + written[-1:]:
        path.write_bytes(version)
        assert fitted(checkpoint=path) == expected


@pytest.mark.parametrize("kernel", ["blocked", "persistent"])
def test_room_that_grows_changes_no_bit(monkeypatch, kernel):
    found = []
    for first in (schedules.FIRST_EPOCHS, 2):
        monkeypatch.setattr(schedules, "FIRST_EPOCHS", first)
        net = nbp.Network((3, 4, 1), loss="binary_cross_entropy", random_state=0)
        history = net.fit(X, Y, epochs=5, device="cuda", kernel=kernel, update_rule="momentum")
        found.append((net.parameters.tobytes(), history.loss.tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize("options", [{}, {"update_rule": "adam"}, {"n_iter_no_change": 1, "tol": 0.05}])
@pytest.mark.parametrize("kernel", ["thread", "warp", "block"])
def test_populations(tmp_path, monkeypatch, kernel, options):
    is_adam = options.get("update_rule") == "adam"

    def fitted(**more):
        population = nbp.Population((3, 4, 1), 3, loss="binary_cross_entropy", random_state=0)
        rates = [0.1, 0.3 if is_adam else 1e200, 0.2]
        history = population.fit(
            X, Y, learning_rate=rates, epochs=6, device="cuda", kernel=kernel, **options, **more
        )
        losses = history.loss.round(12).tobytes()  # see above
        ends = history.n_epochs.tolist(), [str(error) for error in history.diverged.values()]
        # adam's powers of beta begin anew with a launch: their last bit depends on where that is
        parameters = population.parameters.round(12) if is_adam else population.parameters
        return parameters.tobytes(), losses, ends

    slices_end_anywhere(monkeypatch, N)
    check_every_version_ends_alike(monkeypatch, tmp_path / "run", fitted, 1)
