import numpy as np
import pytest

from skgrad.train import Patience, StopReason


def updates(patience, values):
    return [(patience.update(value), patience.exhausted) for value in values]


def test_improvements_below_tol_count_but_are_best():
    patience = Patience(tol=0.1, n_iter_no_change=2)
    assert updates(patience, [1.0, 0.95, 0.91]) == [
        (True, False),
        (True, False),
        (True, False),
    ]
    # The best value creeps down: an epoch is compared with the best, not with the
    # last that was good enough.
    assert updates(patience, [0.905]) == [(True, True)]


def test_a_good_epoch_forgives():
    patience = Patience(tol=0.0, n_iter_no_change=1)
    values = [3.0, 3.5, 2.0, 2.5, 2.5]
    assert [exhausted for _, exhausted in updates(patience, values)] == [
        *(False,) * 4,
        True,
    ]
    assert patience.best == 2.0


def test_no_tol_is_never_exhausted():
    patience = Patience(tol=None, n_iter_no_change=1)
    assert not any(exhausted for _, exhausted in updates(patience, [1.0] * 50))


def test_nan_is_no_improvement():
    patience = Patience(tol=0.0, n_iter_no_change=1)
    assert updates(patience, [np.nan, np.nan]) == [(False, False), (False, True)]


@pytest.mark.parametrize("reason", StopReason)
def test_only_a_limit_a_failure_or_the_user_is_no_convergence(reason):
    assert reason.converged == (
        reason
        not in (
            StopReason.MAX_ITER,
            StopReason.MAX_TIME,
            StopReason.NO_DECREASE,
            StopReason.INTERRUPTED,
        )
    )
    assert isinstance(reason.value, str)
