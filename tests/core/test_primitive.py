"""Primitives: registration, pickling, kernels."""

import pickle

import numpy as np
import pytest

import skgrad
from skgrad import ops
from skgrad.backend import get_backend
from skgrad.core.primitive import Abstract, Primitive, register, registered
from skgrad.executor import trace


@pytest.mark.parametrize("name", registered())
def test_primitives_are_pickled_by_name(name):
    primitive = registered()[name]
    assert pickle.loads(pickle.dumps(primitive)) is primitive
    assert repr(primitive) == f"Primitive({name})"


def test_a_name_is_given_once():
    with pytest.raises(ValueError, match="'tanh'"):
        register(Primitive("tanh", lambda x: x))


def test_the_reference_backend_knows_every_primitive():
    backend = get_backend("cpu")
    for name, primitive in registered().items():
        if primitive.expression is None:
            assert callable(backend.instruction(name))


def test_results_are_arrays_never_numpy_scalars():
    x = skgrad.tensor([1.0, 2.0])
    for out in (x.sum(), x[0], x.max(), ops.argmax(x), x.sum() * 2.0, ops.exp(1.0)):
        assert type(out._data) is np.ndarray


def test_integer_results_record_nothing():
    x = skgrad.tensor([1.0, 2.0], requires_grad=True)
    assert ops.argmax(x)._node is None
    assert ops.astype(x, "int64")._node is None


def test_a_users_primitive_works_eagerly_traced_and_differentiated():
    cube = Primitive(
        "cube",
        lambda x: Abstract(x.shape, x.dtype),
        (lambda g, out, x: g * 3.0 * x * x,),
        lambda: "({0} * {0} * {0})",
    )

    def f(x):
        return cube.bind(x).sum()

    x = np.array([1.0, 2.0])
    skgrad.testing.check_grads(f, [x])
    assert trace(skgrad.grad(f), x)(x).tolist() == [3.0, 12.0]
