"""Trees: flattening keeps structure and order."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skgrad.core import tree_flatten, tree_leaves, tree_map, tree_unflatten
from skgrad.exceptions import ShapeError


class State(NamedTuple):
    count: object
    rest: object


leaves = st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
trees = st.recursive(
    leaves | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.builds(State, inner, inner)
    ),
    max_leaves=12,
)


@given(trees)
def test_flatten_and_unflatten_invert_each_other(tree):
    found, treedef = tree_flatten(tree)
    again = tree_unflatten(treedef, found)
    assert again == tree
    assert type(again) is type(tree)
    assert tree_flatten(again) == (found, treedef)
    assert hash(treedef) == hash(tree_flatten(again)[1])


def test_order_and_types():
    tree = {"b": [1, (2, None)], "a": State(3, {"z": 4, "y": 5})}
    assert tree_leaves(tree) == [3, 5, 4, 1, 2]
    mapped = tree_map(lambda x: -x, tree)
    assert mapped == {"b": [-1, (-2, None)], "a": State(-3, {"z": -4, "y": -5})}
    assert isinstance(mapped["a"], State)
    assert tree_flatten({"x": 1, "y": 2})[1] == tree_flatten({"y": 1, "x": 2})[1]


def test_structures_must_agree():
    assert tree_map(lambda a, b: a * b, [1, [2]], [3, [4]]) == [3, [8]]
    for other in ([1, 2], (1, [2]), [1, [2, 3]], [1, None]):
        with pytest.raises(ShapeError, match="structure"):
            tree_map(lambda a, b: a, [1, [2]], other)
