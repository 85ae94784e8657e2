"""`Patience` against the rules written out."""

import itertools

import numpy as np
import pytest

from numbabp.training.stopping import Patience

N_SEQUENCES = 60


def sequences():
    """Losses that fall, creep, jump, repeat and stop being numbers, all of them on a coarse grid."""
    draw = np.random.RandomState(0)
    for i in range(N_SEQUENCES):
        losses = np.round(4 * draw.uniform(size=30) + np.linspace(draw.randint(0, 8), 0, 30)) / 4
        if i % 3 == 1:
            losses[draw.randint(30, size=4)] = np.nan
        if i % 3 == 2:
            losses[draw.randint(30, size=4)] = draw.choice([np.inf, -np.inf], 4, p=[0.9, 0.1])
            losses[: draw.randint(0, 6)] = np.inf
        yield losses.tolist()


def of_scikit_learn(losses, tol, n):
    """What `tol` and `n_iter_no_change` of an estimator and of `Population.fit` mean."""
    best, waited = np.inf, 0
    for loss in losses:
        waited = 0 if loss <= best - tol else waited + 1
        best = min(best, loss)
        yield waited > n, best, waited


def of_scores(scores, tol, n):
    """The same for what is to be maximized: the validation score of an estimator."""
    best, waited = -np.inf, 0
    for score in scores:
        waited = 0 if score >= best + tol else waited + 1
        if score > best:
            best = score
        yield waited > n, -best, waited


def of_network(losses, tol, n):
    """What `tol` and `patience` of `Network.fit` mean."""
    best, waited = np.inf, 0
    for loss in losses:
        if loss < best - tol:
            waited = 0
        else:
            waited += 1
        if loss < best:
            best = loss
        yield waited >= n, best, waited


def found(patience, losses):
    return [(patience.is_over(loss), patience.best, patience.waited) for loss in losses]


@pytest.mark.parametrize("n", [1, 2, 5, np.inf])
@pytest.mark.parametrize("tol", [0.0, 1e-4, 0.25, 0.5, np.inf])
def test_rules(tol, n):
    for losses in sequences():
        assert found(Patience(n, tol), losses) == list(of_scikit_learn(losses, tol, n))
        scores = [-loss for loss in losses]
        assert found(Patience(n, tol), losses) == list(of_scores(scores, tol, n))
        assert found(Patience(n, tol, strictly=True), losses) == list(of_network(losses, tol, n))


@pytest.mark.parametrize("tol", [0.0, 0.25])
def test_adaptive_rate(tol):
    """Too long a wait lowers the rate, and the next begins anew with the same best loss."""
    for losses in sequences():
        if np.isnan(losses).any():
            continue
        patience, rate, rates = Patience(2, tol, strictly=True), 1.0, []
        for loss in losses:
            if patience.is_over(loss):
                patience.wait_anew()
                rate /= 5
            rates.append(rate)
        best, waited, lower, expected = np.inf, 0, 1.0, []
        for loss in losses:
            waited = 0 if loss < best - tol else waited + 1
            best = min(loss, best)
            if waited >= 2:
                waited, lower = 0, lower / 5
            expected.append(lower)
        assert rates == expected
        assert rates[-1] < 1


def test_rules_differ_by_the_margin():
    """Exactly tol is enough for scikit-learn's rule alone, which also waits for one epoch more."""
    assert [over for over, _, _ in found(Patience(1, 0.5), [2.0, 1.5, 1.5, 1.5])] == [False] * 3 + [True]
    strictly = found(Patience(1, 0.5, strictly=True), [2.0, 1.5])
    assert [over for over, _, _ in strictly] == [False, True]


def test_infinite_losses():
    losses = [np.inf] * 4
    assert not any(over for over, _, _ in found(Patience(1, 0.0), losses))
    assert all(over for over, _, _ in found(Patience(1, 0.0, strictly=True), losses))


@pytest.mark.parametrize("strictly", [False, True])
def test_goes_on_from_where_it_was(strictly):
    """A patience made anew with the best and the wait of another decides as it."""
    for losses in itertools.islice(sequences(), 10):
        whole = found(Patience(3, 0.25, strictly), losses)
        first = Patience(3, 0.25, strictly)
        parts = found(first, losses[:11])
        assert parts + found(Patience(3, 0.25, strictly, first.best, first.waited), losses[11:]) == whole
