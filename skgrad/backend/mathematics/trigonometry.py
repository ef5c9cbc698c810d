"""Sine and cosine of any argument, in integer arithmetic.

The quarter turns in x are x · 2/π modulo 4. For x = m 2ᵉ with an integer m, the bits of
2/π that 2ᵉ moves above the bit of weight 2 contribute a multiple of 4, also when
multiplied by m, and the bits far below contribute nothing that shows: a window of
2/π is enough, wherever it lies (Payne and Hanek (1983), "Radian reduction for
trigonometric functions", ACM SIGNUM Newsletter 18). The window is found by
selection, there is no table to look up, and the product is exact, so that an argument
of 1e300 costs what an argument of 1 costs and is as accurate.
"""

from __future__ import annotations

import math

from skgrad.backend.mathematics.coefficients import FORMATS
from skgrad.backend.mathematics.elementary import Value, polynomial

__all__ = ["cos", "sin"]

# ⌊2/π · 2¹²²⁵⌋, computed with mpmath; a test repeats it.
TWO_OVER_PI = int(
    "145f306dc9c882a53f84eafa3ea69bb81b6c52b3278872083fca2c757bd778ac"
    "36e48dc74849ba5c00c925dd413a32439fc3bd63962534e7dd1046bea5d76890"
    "9d338e04d68befc827323ac7306a673e93908bf177bf250763ff12fffbc0b301"
    "fde5e2316b414da3eda6cfd9e4f96136e9e8c7ecd3cbfd45aea4f758fd7cbe2f"
    "67a0e73ef14a525d4d7f6bf623f1aba10ac06608df8f6d757e1",
    16,
)

_LOW = 0xFFFFFFFF


def _table(x: Value, size: int, count: int, zeros: int) -> list[Value]:
    """Return words of ``size`` bits, constants like x: zeros, then the bits of 2/π."""
    bits = TWO_OVER_PI >> (TWO_OVER_PI.bit_length() + zeros - size * count)
    mask = (1 << size) - 1
    return [x.like((bits >> (size * k)) & mask) for k in reversed(range(count))]


def _window(words: list[Value], position: Value, levels: int, size: int) -> list[Value]:
    """Return three words of bits, the first of them number ``position``.

    ``levels`` is how many bits the number of the first word has.
    """
    first, shift = position >> (size.bit_length() - 1), position & (size - 1)
    for level in reversed(range(levels)):
        step = 1 << level
        bit = (first & step) != 0
        words = [
            bit.select(words[i + step], words[i]) if i + step < len(words) else words[i]
            for i in range(min(len(words), step + 3))
        ]
    # The shift to the right is in two steps, as one by ``size`` is undefined.
    back = shift ^ (size - 1)
    return [(words[i] << shift) | ((words[i + 1] >> 1) >> back) for i in range(3)]


def _float32_turns(x: Value) -> tuple[Value, Value]:
    """Return r in [-π/4, π/4] and n, modulo 4, in x = n π/2 + r, x >= ½."""
    pattern = x.view("uint32")
    # The exponent of the last bit of m is e = exponent - 150; the window begins with
    # bit e - 1 after the point, and 25 zeros before the point are in the table.
    position = ((pattern >> 23) & 0xFF) - 126
    window = _window(_table(pattern, 32, 8, 26), position, 3, 32)
    y2, y1, y0 = (word.cast("uint64") for word in window)
    m = ((pattern & 0x7FFFFF) | 0x800000).cast("uint64")
    turns = ((m * y2) << 32) + m * y1 + ((m * y0) >> 32)  # in units of 2⁻⁶²
    n = ((turns >> 61) + 1) >> 1
    # The rest as a signed number of 2⁻⁶⁴, times π/2 in units of 2⁻³⁰.
    rest = turns << 2
    half_pi = 0x6487ED51
    low = ((rest & _LOW) * half_pi) >> 32
    r = (rest.view("int64") >> 32) * half_pi + low.view("int64")
    return r.cast("float32") * 2.0**-62, n.cast("int32")


def _product(m: Value, window: list[Value]) -> list[Value]:
    """Return words of 32 bits of m times the window, the lowest but one first."""
    y = [h for word in reversed(window) for h in (word & _LOW, word >> 32)]
    m_low, m_high = m & _LOW, m >> 32
    carry, words = m.like(0), []
    for k in range(1, 6):
        t = m_low * y[k] + carry
        u = m_high * y[k - 1] + (t & _LOW)
        words.append(u & _LOW)
        carry = (u >> 32) + (t >> 32)
    return words


def _float64_turns(x: Value) -> tuple[Value, Value]:
    """Return r in [-π/4, π/4] and n, modulo 4, in x = n π/2 + r, x >= ½."""
    f = FORMATS["float64"]
    pattern = x.view("uint64")
    position = ((pattern >> 52) & 0x7FF) - 1022
    window = _window(_table(pattern, 64, 20, 55), position, 5, 64)
    m = (pattern & ((1 << 52) - 1)) | (1 << 52)
    _, w1, w2, w3, w4 = _product(m, window)
    n = ((w4 >> 29) + 1) >> 1
    # What follows the two bits of n, in four signed or unsigned words from the top.
    top = ((w4 << 34) | (w3 << 2)).view("int64") >> 32
    parts = (
        top,
        (((w3 << 2) & _LOW) | (w2 >> 30)).view("int64"),
        (((w2 << 2) & _LOW) | (w1 >> 30)).view("int64"),
        ((w1 << 2) & _LOW).view("int64"),
    )
    a, b, c, d = (
        ((part + f.magic_pattern).view("float64") - f.magic) * 2.0 ** (-32 * k)
        for k, part in enumerate(parts)
    )
    # The upper two may cancel to any extent, then the lower two are what is left.
    high = a + b
    r = high + ((b - (high - a)) + (c + d))
    return r * (math.pi / 2 * 2.0**-32), n.view("int64")


def _sine(x: Value, quarters: int) -> Value:
    """Return sin(x + quarters π/2), quarters 0 or 1."""
    f = FORMATS[x.dtype]
    a = x.absolute()
    r, n = _float32_turns(a) if x.dtype == "float32" else _float64_turns(a)
    small = a < math.pi / 4
    r = small.select(a, r)
    n = small.select(n.like(0), n) + quarters
    z = r * r
    sine = r + r * (z * polynomial(z, f.sin))
    cosine = 1.0 - (z * 0.5 - z * z * polynomial(z, f.cos))
    y = ((n & 1) == 0).select(sine, cosine)
    # Bit 1 of n, the half turns, becomes the sign.
    sign = n << (f.sign.bit_length() - 2)
    if quarters == 0:
        sign = sign ^ x.view(f.integer)
    y = (y.view(f.integer) ^ (sign & f.sign)).view(x.dtype)
    return (a < math.inf).select(y, x - x)


def sin(x: Value) -> Value:
    """Return the sine of an angle in radians."""
    return _sine(x, 0)


def cos(x: Value) -> Value:
    """Return the cosine of an angle in radians."""
    return _sine(x, 1)
