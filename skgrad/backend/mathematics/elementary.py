"""Exponentials, logarithms, powers and the error function, in arithmetic alone.

A compiled loop that calls ``exp`` of the C library computes one element at a time. The
functions here have no branch and no table, so LLVM vectorises the loop around
them: an argument is reduced to a small interval by arithmetic and bit patterns, a
polynomial does the rest, and ``select`` picks among alternatives that are all
computed. Each is written once for float32 and float64 and for whatever has the
protocol of :class:`~skgrad.backend.mathematics.number.Number`: evaluated with scalars
it writes code, evaluated with arrays it computes with NumPy, which is how it is read
and tested without a compiler.

A product and a sum may be contracted into one multiply-add or not. Nothing here
depends on which: wherever a rounding error is computed and used, the product is exact
in the dtype or its own rounding is negligible, so that both serve.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from skgrad.backend.mathematics.coefficients import FORMATS, Format, Polynomial

__all__ = [
    "Value",
    "erf",
    "exp",
    "expm1",
    "log",
    "log1p",
    "polynomial",
    "power",
    "sigmoid",
    "softplus",
    "tanh",
    "with_sign",
]

# A Number. Its operators return Numbers, or bools of the same sort.
Value: TypeAlias = Any


def polynomial(x: Value, coefficients: Polynomial) -> Value:
    """Return the polynomial at x, the constant first."""
    y = x.like(coefficients[-1])
    for c in coefficients[-2::-1]:
        y = y * x + c
    return y


def with_sign(x: Value, y: Value, f: Format) -> Value:
    """Return y, which has no sign, with the sign of x."""
    pattern = (x.view(f.integer) & f.sign) | y.view(f.integer)
    return pattern.view(x.dtype)


# --- exponentials -----------------------------------------------------------------


def _reduced(x: Value, f: Format, low: Value = 0.0) -> tuple[Value, Value, Value]:
    """Return r, its rounding error and n in x + low = n ln 2 + r, |r| <= ½ ln 2.

    n is in the lowest bits of an integer whose other bits a shift by ``f.bits`` drops.
    """
    t = x * (1 / math.log(2)) + f.magic
    n = t - f.magic
    high = x - n * f.ln2_hi
    low = low - n * f.ln2_lo
    r = high + low
    return r, (high - r) + low, t.view(f.integer)


def _exp_parts(
    x: Value, f: Format, low: Value | None = None
) -> tuple[Value, Value, Value]:
    """Return p and two powers of two with exp(x + low) = (1 + p) s₀ s₁.

    There are two because n in s₀ s₁ = 2ⁿ may leave the range of exponents where the
    result, subnormal or near the largest number, does not.
    """
    r, error, n = _reduced(x, f, 0.0 if low is None else low)
    tail = r * r * polynomial(r, f.exp)
    if low is not None:
        tail = tail + error
    half = n >> 1
    s0, s1 = (((k << f.bits) + f.one).view(x.dtype) for k in (half, n - half))
    return r + tail, s0, s1


def _expm1_parts(x: Value, f: Format, shift: int = 0) -> tuple[Value, Value]:
    """Return p and s = 2ⁿ⁻ˢʰⁱᶠᵗ with exp(x) = 2ⁿ (1 + p), p to the last bit."""
    r, error, n = _reduced(x, f)
    p = r + (r * r * polynomial(r, f.exp) + error)
    return p, ((n << f.bits) + (f.one - (shift << f.bits))).view(x.dtype)


def exp(x: Value) -> Value:
    """Return the exponential."""
    f = FORMATS[x.dtype]
    x = (x < f.exp_low).select(f.exp_low, x)  # NaN is not below, and stays
    p, s0, s1 = _exp_parts((x > f.exp_high).select(f.exp_high, x), f)
    return (p + 1.0) * s0 * s1


def expm1(x: Value) -> Value:
    """Return the exponential less one."""
    f = FORMATS[x.dtype]
    y = (x < f.expm1_low).select(f.expm1_low, x)
    y = (y > f.exp_high).select(f.exp_high, y)
    # Half of the result, twice: 2ⁿ overflows before the result does.
    p, s = _expm1_parts(y, f, shift=1)
    return (x == 0).select(x, (s * p + (s - 0.5)) * 2.0)


def tanh(x: Value) -> Value:
    """Return the hyperbolic tangent, (e²ˣ - 1) / (e²ˣ + 1)."""
    f = FORMATS[x.dtype]
    a = x.absolute()
    a = (a > f.tanh_high).select(f.tanh_high, a)
    p, s = _expm1_parts(a + a, f)
    e = s * p + (s - 1.0)
    y = e / (e + 2.0)
    if f.tanh:  # Three roundings are too many for small arguments of float32.
        z = a * a
        y = (a < 0.6).select(a * (z * polynomial(z, f.tanh)) + a, y)
    return with_sign(x, y, f)


def _minus_absolute(x: Value, f: Format) -> Value:
    y = -x.absolute()
    return (y < f.exp_low).select(f.exp_low, y)


def sigmoid(x: Value) -> Value:
    """Return 1 / (1 + e⁻ˣ).

    With e = exp(-|x|) it is e / (1 + e) for negative x; where e is small, that is
    (1 - e / (1 + e)) e, which rounds less.
    """
    f = FORMATS[x.dtype]
    p, s0, s1 = _exp_parts(_minus_absolute(x, f), f, low=0.0)
    s = s0 * s1
    e = s * p + s
    q = e / (e + 1.0)
    y = 1.0 - q
    return (x < 0).select((e > 0.5).select(q, (y + y * p) * s0 * s1), y)


# --- logarithms -------------------------------------------------------------------


def _log(g: Value, k: Value, f: Format) -> Value:
    """Return log(1 + g) + k ln 2, 1 + g in [√½, √2].

    With s = g / (2 + g), log(1 + g) = 2 artanh(s) = 2 s + s R(s²), and 2 s = g - s g:
    g itself is not rounded, only what is small beside it. The decomposition is that of
    the logarithm of FreeBSD's msun (``e_log.c``, Sun Microsystems 1993).
    """
    s = g / (g + 2.0)
    z = s * s
    h = g * g * 0.5
    small = s * (h + z * polynomial(z, f.log)) + k * f.ln2_lo
    return k * f.ln2_hi - ((h - small) - g)


def _split(x: Value, f: Format) -> tuple[Value, Value]:
    """Return m in [√½, √2) and the integer k for x = m 2ᵏ, x normal."""
    pattern = x.view(f.integer)
    k = (pattern - f.sqrt_half) >> f.bits
    return (pattern - (k << f.bits)).view(x.dtype), k


def _split_any(x: Value, f: Format) -> tuple[Value, Value]:
    """Return m in [√½, √2) and the number k for x = m 2ᵏ, x normal or subnormal."""
    subnormal = x < 2.0 ** (1 - f.bias)
    shift = f.bits + 1.0
    m, k = _split(subnormal.select(x * 2.0**shift, x), f)
    # An integer in the lowest bits of a large number is that number plus the integer.
    offset = subnormal.select(x.like(f.magic + shift), f.magic)
    return m, (k + f.magic_pattern).view(x.dtype) - offset


def log(x: Value) -> Value:
    """Return the natural logarithm."""
    f = FORMATS[x.dtype]
    m, k = _split_any(x, f)
    outside = (x == 0).select(-math.inf, (x < 0).select(math.nan, x))
    return ((x > 0) & (x < math.inf)).select(_log(m - 1.0, k, f), outside)


def log1p(x: Value) -> Value:
    """Return the natural logarithm of one plus x."""
    f = FORMATS[x.dtype]
    u = x + 1.0
    # The rounding error of the sum: Knuth (1997), The Art of Computer Programming 2,
    # section 4.2.2, theorem B. Where u is large it does not matter.
    v = u - 1.0
    error = (1.0 - (u - v)) + (x - v)
    m, k = _split(u, f)
    scale = (f.one - (k << f.bits)).view(x.dtype)
    g = (m - 1.0) + (u < f.magic).select(error * scale, 0.0)
    y = _log(g, (k + f.magic_pattern).view(x.dtype) - f.magic, f)
    outside = (x == -1.0).select(-math.inf, (x < -1.0).select(math.nan, x))
    return ((x > -1.0) & (x < math.inf) & (x != 0)).select(y, outside)


def softplus(x: Value) -> Value:
    """Return log(1 + eˣ), which is max(x, 0) + log(1 + exp(-|x|))."""
    f = FORMATS[x.dtype]
    p, s0, s1 = _exp_parts(_minus_absolute(x, f), f)
    e = (p + 1.0) * s0 * s1
    # 1 + e = 2 (1 + g) where e is large: both alternatives are exact.
    large = e > math.sqrt(2) - 1
    g = large.select(e * 0.5 - 0.5, e)
    y = _log(g, large.select(x.like(1.0), 0.0), f)
    return (x < 0).select(0.0, x) + y


# --- error function ---------------------------------------------------------------


def erf(x: Value) -> Value:
    """Return the error function, x + x P(x²) up to 1 and 1 - exp(P(|x|)) beyond."""
    f = FORMATS[x.dtype]
    a = x.absolute()
    a = (a > f.erf_high).select(f.erf_high, a)
    small = a + a * polynomial(a * a, f.erf_small)
    p, s = _expm1_parts(polynomial(a - 1.0, f.erf_large), f)
    return with_sign(x, (a < 1.0).select(small, 1.0 - (s * p + s)), f)


# --- powers -----------------------------------------------------------------------


def _high(x: Value, f: Format) -> Value:
    """Return the upper half of the mantissa: products of two of these are exact."""
    return (x.view(f.integer) & -(1 << (f.bits // 2 + 1))).view(x.dtype)


def _quotient(g: Value, m: Value, f: Format) -> tuple[Value, Value]:
    """Return g / (m + 1), m in [½, 2], as an upper half and a correction."""
    d = m + 1.0
    v = d - m
    error = (m - (d - v)) + (1.0 - v)
    inverse = 1.0 / d
    s, d_high = _high(g * inverse, f), _high(d, f)
    return s, (((g - s * d_high) - s * (d - d_high)) - s * error) * inverse


def _log_pair(x: Value, f: Format) -> tuple[Value, Value]:
    """Return log(x), x positive and finite, as a number and a correction.

    2 artanh(s) = 2 s (1 + u), u = s²/3 + s⁴ P(s²), with one and a half times the
    precision: s, s² and s²/3 are pairs, and the products of upper halves are exact.
    """
    m, k = _split_any(x, f)
    s, s_low = _quotient(m - 1.0, m, f)
    z, z_low = s * s, (s + s + s_low) * s_low
    z_high, third = _high(z, f), _high(x.like(1 / 3), f)
    z_sum = z + z_low
    u = z_high * third
    u_low = (
        z_high * (x.like(1 / 3) - third + f.third_lo)
        + ((z - z_high) + z_low) * (1 / 3)
        + z_sum * z_sum * polynomial(z_sum, f.power)
    )
    u_high = _high(u + u_low, f)
    u_low = (u - u_high) + u_low
    # The largest first, each sum with its rounding error.
    a, b, c = k * f.ln2_hi, s * 2.0, s * u_high * 2.0
    t = b + c
    high = a + t
    low = (s * u_low + (s_low + s_low * (u_high + u_low))) * 2.0 + k * f.ln2_lo
    return high, ((c - (t - b)) + (t - (high - a))) + low


def _exp_product(y: Value, high: Value, low: Value, f: Format) -> Value:
    """Return exp(y (high + low)), y finite."""
    y_high, upper = _high(y, f), _high(high, f)
    low = (high - upper) + low
    product = y_high * upper
    rest = y_high * low + (y - y_high) * (upper + low)
    x = product + rest
    inside = (x > f.exp_low) & (x < f.exp_high)
    limit = (x < 0).select(x.like(f.exp_low), f.exp_high)
    error = inside.select((product - x) + rest, 0.0)
    p, s0, s1 = _exp_parts(inside.select(x, limit), f, error)
    return (p + 1.0) * s0 * s1


def power(x: Value, y: Value) -> Value:
    """Return x raised to the power y, both of one dtype."""
    f = FORMATS[x.dtype]
    a = x.absolute()
    # Beyond this, every a but 1 gives 0 or infinity.
    large = 2.0 ** (f.bits + 20)
    bounded = (y > large).select(large, (y < -large).select(-large, y))
    z = _exp_product(bounded, *_log_pair(a, f), f)
    limit = ((a == 0) == (y < 0)).select(x.like(math.inf), 0.0)
    z = ((a == 0) | (a == math.inf)).select(limit, z)
    z = (a == 1.0).select(1.0, z)
    half = y * 0.5
    integer, even = y == y.floor(), half == half.floor()
    sign = (integer & ~even).select(x.view(f.integer) & f.sign, 0)
    z = (z.view(f.integer) | sign).view(x.dtype)
    undefined = ((x < 0) & (a < math.inf) & ~integer) | (x != x) | (y != y)
    return ((x == 1.0) | (y == 0)).select(1.0, undefined.select(math.nan, z))
