import numpy as np
import pytest

from skgrad.optim.curvature import Curvature


def spd(rng, size):
    A = rng.normal(size=(size, size))
    return A @ A.T + np.eye(size)


def test_definite_matrices_are_solved(rng):
    H, g = spd(rng, 6), rng.normal(size=6)
    curvature = Curvature(H)
    assert curvature.definite
    assert curvature.rank == 6
    np.testing.assert_allclose(curvature.newton_step(g), -np.linalg.solve(H, g))
    np.testing.assert_array_equal(curvature.step(g, 0.1), curvature.newton_step(g))


def test_singular_matrices_get_the_pseudo_inverse(rng):
    A = rng.normal(size=(7, 3))
    H = A @ A.T
    g = H @ rng.normal(size=7)
    curvature = Curvature(H)
    assert not curvature.definite
    assert curvature.rank == 3
    np.testing.assert_allclose(curvature.newton_step(g), -np.linalg.pinv(H) @ g)


def test_the_rank_does_not_depend_on_units(rng):
    A = rng.normal(size=(7, 3))
    units = 10.0 ** np.arange(-6, 8, 2)
    assert Curvature((A @ A.T) * units * units[:, np.newaxis]).rank == 3


@pytest.mark.parametrize(
    "H",
    [
        np.diag([1.0, -2.0, 0.0]),
        np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 3.0]]),
        -np.eye(3),
        np.zeros((3, 3)),
    ],
)
@pytest.mark.parametrize("damping", [1e-6, 1.0, 1e3])
def test_steps_go_downhill_whatever_the_curvature(rng, H, damping):
    curvature = Curvature(H)
    for g in rng.normal(size=(20, 3)):
        assert g @ curvature.step(g, damping) < 0
        assert g @ curvature.gradient_step(g) < 0


def test_rounding_in_flat_directions_is_ignored():
    curvature = Curvature(np.diag([1.0, 0.0]))
    assert curvature.step(np.array([1.0, 1e-12]), 1e-6)[1] == 0
    assert curvature.step(np.array([1.0, 1e-3]), 1.0)[1] != 0


def test_only_the_symmetric_part_counts(rng):
    H, g = spd(rng, 4), rng.normal(size=4)
    A = rng.normal(size=(4, 4))
    np.testing.assert_allclose(
        Curvature(H + A - A.T).newton_step(g), Curvature(H).newton_step(g), rtol=1e-10
    )
