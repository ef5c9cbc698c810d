import numpy as np
import pytest

from skgrad.optim.curvature import BlockCurvature, BlockDiagonal, Curvature


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


def make_blocks(rng, blocks):
    size = blocks.shape[1]
    index = rng.permutation(3 * size).reshape(3, size)
    return BlockDiagonal(blocks, index)


@pytest.mark.parametrize("n_blocks", [1, 3])  # one stands for three equal ones
def test_blocks_are_solved_as_the_whole(rng, n_blocks):
    blocks = np.stack([spd(rng, 4) for _ in range(n_blocks)])
    hessian = make_blocks(rng, blocks)
    by_block, whole = BlockCurvature(hessian), Curvature(hessian.dense())
    assert (by_block.rank, by_block.definite) == (whole.rank, whole.definite)
    g = rng.normal(size=12)
    np.testing.assert_allclose(by_block.newton_step(g), whole.newton_step(g))
    np.testing.assert_allclose(by_block.step(g, 0.1), whole.step(g, 0.1))
    np.testing.assert_allclose(by_block.length(g), whole.length(g))


def test_singular_blocks_get_the_pseudo_inverse(rng):
    A = rng.normal(size=(3, 5, 2))
    hessian = make_blocks(rng, A @ A.swapaxes(1, 2))
    H = hessian.dense()
    g = H @ rng.normal(size=15)
    curvature = BlockCurvature(hessian)
    assert (curvature.rank, curvature.definite) == (6, False)
    np.testing.assert_allclose(curvature.newton_step(g), -np.linalg.pinv(H) @ g)


@pytest.mark.parametrize("damping", [1e-6, 1.0, 1e3])
def test_steps_of_blocks_go_downhill(rng, damping):
    blocks = np.stack([np.diag([1.0, -2.0]), np.zeros((2, 2)), spd(rng, 2)])
    curvature = BlockCurvature(make_blocks(rng, blocks))
    for g in rng.normal(size=(20, 6)):
        assert g @ curvature.step(g, damping) < 0
        assert g @ curvature.gradient_step(g) < 0
