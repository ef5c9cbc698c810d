"""Passes: graph to graph, each named, each checked by the spec before and after.

Every pass is a pure function that looks at each equation once; recurrences unroll to
tens of thousands of them. An equation keeps the line of the user's code it came from.

``PASSES`` run on every trace. What each primitive computes stays the same to the last
bit, apart from the sign and payload of NaNs and the sign of zeros in outer products;
only where a product or a sum now reads a view in the place of a copy may NumPy add up
in another order. ``COMPILED_PASSES`` run before a graph is compiled and change the
order of sums themselves.

The order: first what nobody needs goes, because gradients leave much of it and each
later pass would look at it. Constants are computed and equal equations merged before
the algebra, which recognises operands by what they are. The algebra makes equations
equal that were not, so they are merged again; and it leaves unread operands behind.
"""

from skgrad.executor.passes.algebra import simplify_algebra
from skgrad.executor.passes.common import merge_common
from skgrad.executor.passes.constants import fold_constants
from skgrad.executor.passes.dead_code import remove_dead_code
from skgrad.executor.passes.products import orient_products

__all__ = [
    "COMPILED_PASSES",
    "PASSES",
    "fold_constants",
    "merge_common",
    "orient_products",
    "remove_dead_code",
    "simplify_algebra",
]

PASSES = (
    remove_dead_code,
    fold_constants,
    merge_common,
    simplify_algebra,
    merge_common,
    remove_dead_code,
)
"""Every pass of a trace, in the order in which they run."""

COMPILED_PASSES = (orient_products, merge_common, remove_dead_code)
"""What runs in addition, after them, before a graph is compiled."""
