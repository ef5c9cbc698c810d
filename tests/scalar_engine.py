"""Reverse-mode differentiation of scalars in plain Python: the oracle for graphs.

Nothing here is shared with skgrad: floats, the math module, and one list of local
derivatives per value. Local derivatives are values themselves, so gradients can be
differentiated again.
"""

import math


class Scalar:
    """A float and the values it was computed from, with the local derivatives."""

    def __init__(self, value, parents=()):
        self.value = float(value)
        self.parents = parents  # pairs (parent, function giving the local derivative)

    def __add__(self, other):
        other = lift(other)
        return Scalar(
            self.value + other.value, ((self, lambda: ONE), (other, lambda: ONE))
        )

    def __mul__(self, other):
        other = lift(other)
        return Scalar(
            self.value * other.value, ((self, lambda: other), (other, lambda: self))
        )

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -lift(other)

    def __truediv__(self, other):
        other = lift(other)
        out = Scalar(self.value / other.value)
        out.parents = (
            (self, lambda: reciprocal(other)),
            (other, lambda: -(out * reciprocal(other))),
        )
        return out


def lift(x):
    return x if isinstance(x, Scalar) else Scalar(x)


ZERO, ONE = Scalar(0.0), Scalar(1.0)


def unary(function, derivative):
    """Return an operation; ``derivative(x, out)`` gives its derivative."""

    def apply(x):
        out = Scalar(function(x.value))
        out.parents = ((x, lambda: derivative(x, out)),)
        return out

    return apply


reciprocal = unary(lambda v: 1.0 / v, lambda x, out: -(out * out))
exp = unary(math.exp, lambda x, out: out)
log = unary(math.log, lambda x, out: reciprocal(x))
sin = unary(math.sin, lambda x, out: cos(x))
cos = unary(math.cos, lambda x, out: -sin(x))
tanh = unary(math.tanh, lambda x, out: ONE - out * out)
sigmoid = unary(
    lambda v: 0.5 * (1.0 + math.tanh(0.5 * v)), lambda x, out: out * (ONE - out)
)
softplus = unary(
    lambda v: max(v, 0.0) + math.log1p(math.exp(-abs(v))), lambda x, out: sigmoid(x)
)
sqrt = unary(math.sqrt, lambda x, out: reciprocal(out + out))
square = unary(lambda v: v * v, lambda x, out: x + x)
absolute = unary(abs, lambda x, out: lift((x.value > 0) - (x.value < 0)))


def maximum(x, y):
    share = 0.5 if x.value == y.value else float(x.value > y.value)
    return Scalar(
        max(x.value, y.value),
        ((x, lambda: lift(share)), (y, lambda: lift(1.0 - share))),
    )


def gradient(out, inputs):
    """Return the derivatives of ``out`` with respect to each input."""
    cotangents = {id(out): ONE}
    for node in reversed(ordered(out)):
        g = cotangents.get(id(node), ZERO)
        for parent, local in node.parents:
            have = cotangents.get(id(parent))
            term = g * local()
            cotangents[id(parent)] = term if have is None else have + term
    return [cotangents.get(id(x), ZERO) for x in inputs]


def ordered(out):
    """Return the values ``out`` depends on, parents first."""
    order, seen, stack = [], set(), [(out, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((parent, False) for parent, _ in node.parents)
    return order
