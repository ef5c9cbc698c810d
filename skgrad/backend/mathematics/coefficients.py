"""The numbers behind the mathematical functions: layouts, thresholds, polynomials.

Every polynomial is a weighted minimax approximation, computed by Remez' exchange on
600 Chebyshev points with 50 digits and rounded to the dtype coefficient by coefficient.
``tests/backend/mathematics/minimax.py`` holds the program and, line by line, the
function approximated, its interval, degree and weight; a test repeats the computation.
The error is the relative one that the approximation alone causes in the function
computed:

=========== ================================== ============== ================
polynomial  approximates                       float32        float64
=========== ================================== ============== ================
exp         (eʳ - 1 - r) / r², |r| <= ½ ln 2   4: 2⁻²⁶        9: 2⁻⁵⁵
log         (log((1+s)/(1-s)) - 2s) / s³ of s² 2: 2⁻³⁰        6: 2⁻⁵⁹
power       (artanh(s)/s - 1 - s²/3) / s⁴      2: 2⁻³⁶        6: 2⁻⁶⁶
erf_small   erf(x)/x - 1 of x², x <= 1         6: 2⁻²⁹        12: 2⁻⁶²
erf_large   log(1 - erf(1 + u)), u < 2.93/4.93 6: 2⁻²⁹        17: 2⁻⁵⁷
tanh        (tanh(x)/x - 1) / x² of x², x < .6 4: 2⁻²⁸        none
sin         (sin(x) - x) / x³ of x², x < π/4   2: 2⁻²⁸        5: 2⁻⁵⁸
cos         (cos(x) - 1 + x²/2) / x⁴ of x²     2: 2⁻³³        5: 2⁻⁶⁴
=========== ================================== ============== ================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["FORMATS", "Format", "Polynomial"]

Polynomial: TypeAlias = tuple[float, ...]  # the constant first


@dataclass(frozen=True)
class Format:
    """What the functions know about a dtype.

    Parameters
    ----------
    integer : str
        The signed integer dtype of the same size.
    bits : int
        Bits of the stored mantissa.
    bias : int
        Bias of the exponent.
    ln2_hi, ln2_lo : float
        ln 2 in two parts; the first times any exponent is exact.
    third_lo : float
        1/3 less the number nearest to it.
    exp_low, exp_high : float
        exp is 0 below the first and infinite above the second.
    expm1_low : float
        expm1 is -1 below.
    tanh_high, erf_high : float
        tanh and erf are 1 above.
    sqrt_half : int
        Bit pattern of √½.
    exp, log, power, erf_small, erf_large, tanh, sin, cos : tuple of float
        Polynomials, the constant first; see the module.

    Examples
    --------
    >>> from skgrad.backend.mathematics.coefficients import FORMATS
    >>> FORMATS["float32"].bits
    23
    """

    integer: str
    bits: int
    bias: int
    ln2_hi: float
    ln2_lo: float
    third_lo: float
    exp_low: float
    exp_high: float
    expm1_low: float
    tanh_high: float
    erf_high: float
    sqrt_half: int
    exp: Polynomial
    log: Polynomial
    power: Polynomial
    erf_small: Polynomial
    erf_large: Polynomial
    tanh: Polynomial
    sin: Polynomial
    cos: Polynomial

    @property
    def magic(self) -> float:
        """1.5 · 2ᵇⁱᵗˢ: adding it rounds to an integer, left in the lowest bits."""
        return 1.5 * 2.0**self.bits

    @property
    def magic_pattern(self) -> int:
        """The bit pattern of ``magic``."""
        return self.one + (self.bits << self.bits) + (1 << (self.bits - 1))

    @property
    def one(self) -> int:
        """The bit pattern of 1."""
        return self.bias << self.bits

    @property
    def sign(self) -> int:
        """The bit pattern of -0, as a signed integer."""
        return -(1 << (31 if self.integer == "int32" else 63))


FORMATS = {
    "float32": Format(
        integer="int32",
        bits=23,
        bias=127,
        ln2_hi=float.fromhex("0x1.62E4p-1"),
        ln2_lo=float.fromhex("0x1.7F7D1CF79ABCAp-20"),
        third_lo=-9.934107e-9,
        exp_low=-104.0,
        exp_high=89.0,
        expm1_low=-18.0,
        tanh_high=9.5,
        erf_high=3.93,
        sqrt_half=0x3F3504F3,
        exp=(0.5, 0.16666543, 0.04166628, 0.008366611, 0.0013946489),
        log=(0.66666776, 0.3997745, 0.2987442),
        power=(0.20000076, 0.14273517, 0.11710529),
        erf_small=(
            *(0.12837917, -0.37612626, 0.112835854, -0.026853811, 0.0051883273),
            *(-0.0008010192, 7.853858e-05),
        ),
        erf_large=(
            *(-1.8496056, -2.6389668, -0.8431176, -0.041503493, 0.009895454),
            *(-0.0018293781, 0.0001863778),
        ),
        tanh=(-0.333333, 0.13331924, -0.05378383, 0.020795977, -0.005895165),
        sin=(-0.16666655, 0.008332173, -0.00019516656),
        cos=(0.041666646, -0.0013887362, 2.443773e-05),
    ),
    "float64": Format(
        integer="int64",
        bits=52,
        bias=1023,
        ln2_hi=float.fromhex("0x1.62E42FEFA0000p-1"),
        ln2_lo=float.fromhex("0x1.CF79ABC9E3B3Ap-40"),
        third_lo=2.0**-54 / 3,
        exp_low=-746.0,
        exp_high=710.0,
        expm1_low=-38.0,
        tanh_high=20.0,
        erf_high=5.93,
        sqrt_half=0x3FE6A09E667F3BCD,
        exp=(
            *(0.5000000000000006, 0.16666666666666685, 0.04166666666657333),
            *(0.008333333333314537, 0.001388888893248326, 0.00019841269903164395),
            *(2.480150431314727e-05, 2.7557227823524263e-06, 2.762638184876292e-07),
            *(2.5114517424291064e-08,),
        ),
        log=(
            *(0.6666666666666735, 0.3999999999940748, 0.28571428744141675),
            *(0.2222219837849224, 0.1818357516327952, 0.15313755839296028),
            *(0.147990651557274,),
        ),
        power=(
            *(0.20000000000001145, 0.14285714285041842, 0.11111111261443517),
            *(0.09090892048702037, 0.0769338509878684, 0.06628254288756748),
            *(0.06599640541634162,),
        ),
        erf_small=(
            *(0.1283791670955126, -0.3761263890318375, 0.11283791670954857),
            *(-0.026866170645072893, 0.005223977624780838, -0.0008548326978740621),
            *(0.00012055331036844874, -1.4925593505644513e-05, 1.6460972798142799e-06),
            *(-1.6350025034009867e-07, 1.4657878649845259e-08, -1.136566164263027e-09),
            *(5.945254920512722e-11,),
        ),
        erf_large=(
            *(-1.8496055099332482, -2.6389675142347775, -0.8431072563593307),
            *(-0.04156109802667707, 0.010033825195105473, -0.001977901310646644),
            *(0.00023731679767740297, 2.6295382341384168e-05, -2.7197240591798136e-05),
            *(9.669088257368741e-06, -2.129731993537977e-06, 2.0324986615162246e-07),
            *(5.881894266601382e-08, -3.369174517351953e-08, 8.596995043013782e-09),
            *(-1.3325892353993833e-09, 1.207065721968802e-10, -4.9284473351429385e-12),
        ),
        tanh=(),
        sin=(
            *(-0.16666666666666632, 0.008333333333322316, -0.00019841269829725343),
            *(2.7557313662095176e-06, -2.5050753269337658e-08, 1.5896505183037217e-10),
        ),
        cos=(
            *(0.0416666666666666, -0.001388888888887399, 2.480158728939502e-05),
            *(-2.755731432605335e-07, 2.0875719561374505e-09, -1.1359448806517975e-11),
        ),
    ),
}
