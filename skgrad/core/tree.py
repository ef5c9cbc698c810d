"""Trees: nested dicts, lists, tuples and named tuples of leaves.

``None`` is a tree without leaves; everything that is not one of these containers is a
leaf. Dicts are walked in sorted key order, so equal dicts have equal structures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from skgrad.exceptions import ShapeError
from skgrad.typing import Tree

__all__ = ["TreeDef", "tree_flatten", "tree_leaves", "tree_map", "tree_unflatten"]


class TreeDef(NamedTuple):
    """The structure of a tree, without its leaves; hashable and comparable."""

    kind: type | None
    keys: tuple[Any, ...] = ()
    children: tuple[TreeDef, ...] = ()


_LEAF, _NONE = TreeDef(None), TreeDef(type(None))
_SEQUENCES = (list, tuple)  # `list | tuple` would be made anew for each node


def tree_flatten(tree: Tree) -> tuple[list[Any], TreeDef]:
    """Return the leaves of a tree and its structure.

    Parameters
    ----------
    tree : tree
        The tree.

    Returns
    -------
    leaves : list
        Its leaves, in order.
    treedef : TreeDef
        Its structure.

    Examples
    --------
    >>> from skgrad.core.tree import tree_flatten
    >>> tree_flatten({"b": 2, "a": [1, None]})[0]
    [1, 2]
    """
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def _flatten(tree: Tree, leaves: list[Any]) -> TreeDef:
    if tree is None:
        return _NONE
    if isinstance(tree, dict):
        keys = tuple(sorted(tree))
        return TreeDef(dict, keys, tuple([_flatten(tree[k], leaves) for k in keys]))
    if isinstance(tree, _SEQUENCES):
        return TreeDef(type(tree), (), tuple([_flatten(t, leaves) for t in tree]))
    leaves.append(tree)
    return _LEAF


def tree_unflatten(treedef: TreeDef, leaves: list[Any] | tuple[Any, ...]) -> Tree:
    """Return the tree of a structure with the given leaves.

    Parameters
    ----------
    treedef : TreeDef
        The structure.
    leaves : list
        As many leaves as the structure has.

    Returns
    -------
    tree
        The tree.

    Examples
    --------
    >>> from skgrad.core.tree import tree_flatten, tree_unflatten
    >>> leaves, treedef = tree_flatten({"b": 2, "a": (1,)})
    >>> tree_unflatten(treedef, [10, 20])
    {'a': (10,), 'b': 20}
    """
    return _unflatten(treedef, iter(leaves))


def _unflatten(treedef: TreeDef, leaves: Iterator[Any]) -> Tree:
    kind = treedef.kind
    if kind is None:
        return next(leaves)
    if kind is type(None):
        return None
    children = [_unflatten(child, leaves) for child in treedef.children]
    if kind is dict:
        return dict(zip(treedef.keys, children, strict=True))
    return kind(*children) if hasattr(kind, "_fields") else kind(children)


def tree_leaves(tree: Tree) -> list[Any]:
    """Return the leaves of a tree.

    Parameters
    ----------
    tree : tree
        The tree.

    Returns
    -------
    list
        Its leaves, in order.

    Examples
    --------
    >>> from skgrad.core.tree import tree_leaves
    >>> tree_leaves([1, (2, {"x": 3})])
    [1, 2, 3]
    """
    return tree_flatten(tree)[0]


def tree_map(function: Callable[..., Any], tree: Tree, *rest: Tree) -> Tree:
    """Apply a function to the leaves of one tree, or of several of one structure.

    Parameters
    ----------
    function : callable
        Takes one leaf per tree.
    tree, *rest : tree
        Trees of the same structure.

    Returns
    -------
    tree
        The results in the structure of the first tree.

    Raises
    ------
    ShapeError
        If the structures differ.

    Examples
    --------
    >>> from skgrad.core.tree import tree_map
    >>> tree_map(lambda a, b: a + b, {"x": 1, "y": [2]}, {"x": 10, "y": [20]})
    {'x': 11, 'y': [22]}
    """
    leaves, treedef = tree_flatten(tree)
    columns = [leaves]
    for other in rest:
        other_leaves, other_def = tree_flatten(other)
        if other_def != treedef:
            raise ShapeError(f"Trees of different structure: {treedef}, {other_def}.")
        columns.append(other_leaves)
    return tree_unflatten(
        treedef, [function(*row) for row in zip(*columns, strict=True)]
    )
