"""Core: values, primitives, the gradient graph, trees, random scopes."""

from skgrad.core.graph import Node, backward
from skgrad.core.interpreter import no_grad
from skgrad.core.params import ParamsMixin
from skgrad.core.primitive import Primitive
from skgrad.core.random import random_seed
from skgrad.core.tree import tree_flatten, tree_leaves, tree_map, tree_unflatten
from skgrad.core.value import Value

__all__ = [
    "Node",
    "ParamsMixin",
    "Primitive",
    "Value",
    "backward",
    "no_grad",
    "random_seed",
    "tree_flatten",
    "tree_leaves",
    "tree_map",
    "tree_unflatten",
]
