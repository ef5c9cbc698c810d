"""Recipes of random graphs, grown with the operations of any engine."""

import scalar_engine as scalar
from hypothesis import strategies as st

from skgrad import ops

# Each operation in both engines. Arguments are squashed into the domain first, so that
# values stay moderate whatever the graph: 0.3 + sigmoid(x) is positive and away from 0.
UNARY = ("exp", "sin", "cos", "tanh", "sigmoid", "softplus", "square", "absolute")
POSITIVE = ("log", "sqrt")
BINARY = ("add", "subtract", "multiply", "divide", "maximum")

steps = st.lists(
    st.tuples(
        st.sampled_from(UNARY + POSITIVE + BINARY),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=14,
)
points = st.lists(
    st.floats(-2.0, 2.0, allow_subnormal=False).map(lambda v: round(v, 3)),
    min_size=2,
    max_size=3,
)


def grown(engine, graph, inputs):
    """Run the recipe of a graph with the operations of one engine."""
    op = OPERATIONS[engine]
    values = list(inputs)
    for name, i, j in graph:
        # The latest values are chosen most often, so that graphs are deep too.
        x, y = (values[-1 - (k % min(len(values), 4))] for k in (i, j))
        if name in BINARY[:3] or name == "maximum":
            out = op(name)(op("tanh")(x), y)
        elif name == "divide":
            out = op("divide")(x, positive(op, y))
        elif name in POSITIVE:
            out = op(name)(positive(op, x))
        else:
            out = op(name)(op("tanh")(x))
        values.append(out)
    total = values[-1]
    for value in values[:-1]:
        total = op("add")(total, op("multiply")(value, values[-1]))
    return total


def positive(op, x):
    return op("add")(op("sigmoid")(x), 0.3)


BINARY_SCALAR = {
    "add": scalar.Scalar.__add__,
    "subtract": scalar.Scalar.__sub__,
    "multiply": scalar.Scalar.__mul__,
    "divide": scalar.Scalar.__truediv__,
}
OPERATIONS = {
    "skgrad": lambda name: getattr(ops, name),
    "scalar": lambda name: BINARY_SCALAR.get(name) or getattr(scalar, name),
}
