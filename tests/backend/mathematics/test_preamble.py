"""The mathematics of the kernels: accuracy against mpmath, in all its forms."""

import re
from functools import cache

import mpmath as mp
import numpy as np
import pytest
from backend.cpu.array_number import evaluated, loop, loop_source
from backend.cuda import host
from backend.mathematics.minimax import fits, minimax
from scipy import special

from skgrad.backend.arrays import philox_4x32 as words_of
from skgrad.backend.base import Binding, KernelSpec, Operand, Output
from skgrad.backend.cpu.engine import optimized
from skgrad.backend.mathematics.coefficients import FORMATS
from skgrad.backend.mathematics.preamble import PREAMBLE, philox_4x32
from skgrad.backend.mathematics.trigonometry import TWO_OVER_PI
from skgrad.backend.reference import NUMPY as REFERENCE

EXACT = {
    "exp": mp.exp,
    "expm1": mp.expm1,
    "log": mp.log,
    "log1p": mp.log1p,
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "erf": mp.erf,
    "sin": mp.sin,
    "cos": mp.cos,
    "power": lambda x, y: x**y,
}
NUMPY = {
    **{name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "tanh")},
    "sigmoid": special.expit,
    "softplus": lambda x: np.logaddexp(x, x.dtype.type(0)),
    "erf": special.erf,
    "sin": np.sin,
    "cos": np.cos,
    "power": np.power,
}
UNARY = [name for name in EXACT if name != "power"]
BOUND = {"float32": 2.0, "float64": 4.0}  # units in the last place
DTYPES = list(BOUND)

HOW = ["LLVM", "CUDA", "arrays"]

both = pytest.mark.parametrize("dtype", DTYPES)
unary = pytest.mark.parametrize("name", UNARY)


# --- where ------------------------------------------------------------------------


def _neighbours(values, dtype):
    """Return the floats around values, eight on each side."""
    patterns = np.asarray(values, dtype).view(FORMATS[dtype].integer)
    steps = np.arange(-8, 9, dtype=patterns.dtype)
    return (patterns[:, None] + steps).ravel().view(dtype)


def _critical(dtype):
    f, info = FORMATS[dtype], np.finfo(dtype)
    largest, smallest = np.log([float(info.max), float(info.smallest_subnormal)])
    normal = np.log(float(info.smallest_normal))
    k = np.arange(1, 40)
    positive = np.concatenate(
        [
            [1, 2, 0.5, np.sqrt(0.5), np.sqrt(2), np.sqrt(2) - 1, 0.6, 1 / 3],
            [largest, -smallest, -normal, f.exp_high, -f.exp_low, -f.expm1_low],
            [f.tanh_high, f.erf_high, info.smallest_normal, info.max / 2, f.magic],
            k * np.log(2) / 2,
            k * np.pi / 4,
            10.0 ** np.arange(4, 37) * np.pi / 2,
        ]
    )
    # The floats nearest to a multiple of π/2, for either dtype: J.-M. Muller,
    # Elementary Functions, the chapter on range reduction.
    hard = [16367173 * 2.0**72]
    if dtype == "float64":
        hard.append(6381956970095103 * 2.0**797)
    x = np.concatenate([_neighbours(positive, dtype), np.asarray(hard, dtype)])
    tiny = info.smallest_subnormal * np.arange(1, 9, dtype=dtype)
    return np.concatenate([x, -x, tiny, -tiny])


def _points(dtype, n, seed=0):
    """Return finite floats: all exponents alike, the usual range, critical places."""
    rng = np.random.default_rng(seed)
    integer = np.iinfo(FORMATS[dtype].integer)
    patterns = rng.integers(integer.min, integer.max, n, dtype=integer.dtype)
    wide = 110.0 if dtype == "float32" else 760.0
    x = np.concatenate(
        [
            patterns.view(dtype),
            rng.normal(0, 3, n).astype(dtype),
            rng.uniform(-wide, wide, n).astype(dtype),
            (1 + rng.normal(size=n) * 2.0 ** -rng.uniform(0, 30, n)).astype(dtype),
            _critical(dtype),
        ]
    )
    return x[np.isfinite(x)]


def _domain(name, x):
    if name == "log":
        return np.abs(x[x != 0])
    return x[x > -1] if name == "log1p" else x


def _power_points(dtype, n, seed=0):
    """Return bases, and exponents that give results over the whole range."""
    rng = np.random.default_rng(seed)
    x = np.abs(_points(dtype, n, seed))
    x = x[(x > 0) & (x != 1)]
    low, high = (-104, 88.7) if dtype == "float32" else (-745, 709.7)
    with np.errstate(over="ignore"):
        y = (rng.uniform(low, high, x.size) / np.log(x.astype("float64"))).astype(dtype)
    y[::7] = rng.integers(-9, 10, y[::7].size)
    return x[np.isfinite(y)], y[np.isfinite(y)]


# --- how far ----------------------------------------------------------------------


def _ulps(y, exact, dtype):
    """Return the distance from exact values in units of their last place."""
    info, bits = np.finfo(dtype), FORMATS[dtype].bits
    above = mp.ldexp(1, int(info.maxexp))  # infinity is as far as the float it follows
    distances = []
    for a, b in zip(y.tolist(), exact, strict=True):
        v = max(min(b, above), -above)
        u = mp.sign(a) * above if np.isinf(a) else mp.mpf(a)
        exponent = max(mp.mag(v) - 1, int(info.minexp)) if v else int(info.minexp)
        distances.append(float(abs(u - v) / mp.ldexp(1, exponent - bits)))
    return np.asarray(distances)


@cache
def _expected(name, dtype, n):
    """Return arguments and exact results."""
    if name == "power":
        arguments = _power_points(dtype, n)
    else:
        arguments = (_domain(name, _points(dtype, n)),)
    with mp.workprec(240):
        numbers = zip(*(a.tolist() for a in arguments), strict=True)
        return arguments, [EXACT[name](*map(mp.mpf, t)) for t in numbers]


def _n_inputs(name):
    return 2 if name == "power" else 1


@cache
def _compiled(name, dtype):
    return loop(PREAMBLE[name], [dtype] * _n_inputs(name), [dtype])


def _spec(expression, n_inputs, dtype, out):
    operands = (*[Operand(dtype, "1")] * n_inputs, Operand(out, "1"))
    binding = Binding(expression, tuple(range(n_inputs)), 1, out)
    return KernelSpec(1, operands, n_inputs, (binding,), (Output(n_inputs, n_inputs),))


def _function_spec(name, dtype):
    arguments = ", ".join(f"{{{i}}}" for i in range(_n_inputs(name)))
    return _spec(f"{name}({arguments})", _n_inputs(name), dtype, dtype)


@cache
def _cuda():
    """Return the kernels of all functions and expressions, built at once."""
    specs = [_function_spec(name, dtype) for name in EXACT for dtype in DTYPES]
    return host.kernels([*specs, *map(_expression_spec, *zip(*_ROWS, strict=True))])


def _run_cuda(spec, *arrays):
    _cuda()[spec]([a.ctypes.data for a in arrays], [arrays[0].size])


def _computed(how, name, *arguments):
    if how == "arrays":
        return evaluated(PREAMBLE[name], *arguments)
    out = np.empty_like(arguments[0])
    if how == "CUDA":
        _run_cuda(_function_spec(name, str(out.dtype)), *arguments, out)
    else:
        _compiled(name, str(out.dtype))(*arguments, out)
    return out


def _check(how, name, dtype, n):
    arguments, exact = _expected(name, dtype, n)
    with mp.workprec(240):
        distances = _ulps(_computed(how, name, *arguments), exact, dtype)
    worst = int(np.argmax(distances))
    place = [a[worst] for a in arguments]
    assert distances[worst] <= BOUND[dtype], f"{distances[worst]} ulp at {place}"


@pytest.mark.parametrize("how", HOW)
@both
@pytest.mark.parametrize("name", list(EXACT))
def test_accuracy(name, dtype, how):
    _check(how, name, dtype, 50)


@pytest.mark.long
@pytest.mark.parametrize("how", HOW)
@both
@pytest.mark.parametrize("name", list(EXACT))
def test_accuracy_on_many_points(name, dtype, how):
    _check(how, name, dtype, 30_000)


# --- special values ---------------------------------------------------------------


def _same(y, expected, rtol):
    np.testing.assert_allclose(y, expected, rtol=rtol, atol=0)
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(y[number]), np.signbit(expected[number]))


@pytest.mark.parametrize("how", HOW)
@both
@unary
def test_special_values_are_numpys(name, dtype, how):
    x = np.asarray([0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, -2, 1e-30], dtype)
    with np.errstate(all="ignore"):
        expected = NUMPY[name](x)
    _same(_computed(how, name, x), expected, 4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("how", HOW)
@both
def test_special_powers_are_numpys(dtype, how):
    values = [0.0, 0.5, 1, 2, 2.5, 3, 1e-30, 1e30, 16777217, np.inf]
    values = np.asarray([*values, *(-v for v in values), np.nan], dtype)
    x, y = (v.ravel().copy() for v in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    _same(_computed(how, "power", x, y), expected, 4 * np.finfo(dtype).eps)


@both
def test_powers_that_are_floats_are_exact(dtype):
    x, y = np.meshgrid(np.arange(1, 12, dtype=dtype), np.arange(-1, 7, dtype=dtype))
    x, y = x[y >= 0], y[y >= 0]
    np.testing.assert_array_equal(_computed("LLVM", "power", x, y), x**y)


# --- the code ---------------------------------------------------------------------


@both
@pytest.mark.parametrize("name", list(EXACT))
def test_loops_are_vectorised(name, dtype):
    inputs = [dtype] * _n_inputs(name)
    code = str(optimized(loop_source(PREAMBLE[name], inputs, [dtype])))
    kind = "float" if dtype == "float32" else "double"
    assert re.search(rf"fmul contract <\d+ x {kind}>", code)
    assert not re.search(r"call [^@]*@(?!llvm\.)", code)
    assert not re.search(r"\b(fast|nnan|ninf|nsz|afn|arcp|reassoc)\b", code)
    assert dtype == "float64" or "double" not in code


def test_two_over_pi():
    with mp.workprec(1400):
        assert int(mp.floor(mp.ldexp(2 / mp.pi, 1225))) == TWO_OVER_PI


@pytest.mark.long
@both
@pytest.mark.parametrize("name", sorted(fits()))
def test_polynomials_are_minimax(name, dtype):
    with mp.workdps(50):
        fit = fits()[name]
        if dtype not in fit.degree:
            assert getattr(FORMATS[dtype], name) == ()
            return
        coefficients, _ = minimax(fit, dtype)
    expected = np.asarray([float(c) for c in coefficients]).astype(dtype)
    actual = np.asarray(getattr(FORMATS[dtype], name)).astype(dtype)
    np.testing.assert_array_equal(actual, expected)


# --- the preamble -----------------------------------------------------------------


def test_names_are_the_references():
    assert set(PREAMBLE) == set(REFERENCE.preamble)
    assert {k: v for k, v in PREAMBLE.items() if isinstance(v, float)} == {
        k: v for k, v in REFERENCE.preamble.items() if isinstance(v, float)
    }


_ALL = ["bool", "int32", "int64", "uint8", "float32", "float64"]
_NUMBERS = [d for d in _ALL if d != "bool"]
_CASES = [
    *((f"{f}({{0}}, {{1}})", _ALL) for f in ("maximum", "minimum")),
    *((f"{f}({{0}}, {{1}})", _ALL) for f in ("logical_and", "logical_or")),
    *((f"{f}({{0}}, {{1}})", _ALL) for f in ("equal", "not_equal", "less")),
    *((f"{f}({{0}}, {{1}})", _ALL) for f in ("less_equal", "greater")),
    ("greater_equal({0}, {1})", _ALL),
    *((f"{f}({{0}})", _ALL) for f in ("absolute", "isnan", "isfinite", "logical_not")),
    ("where({0}, {0}, {1})", _ALL),
    ("cast({0}, float32)", _ALL),
    ("cast({0}, bool)", _ALL),
    *((f"{f}({{0}})", _NUMBERS) for f in ("sign", "floor")),
    ("maximum({0}, zero) - minimum(one, {1})", ["float32", "float64"]),
    ("where(greater({0}, zero), {1}, half * {0})", ["float32", "float64"]),
    ("sqrt(absolute({0}))", ["float32", "float64"]),
]


def _values(dtype):
    if dtype == "bool":
        values = [False, True]
    elif dtype.startswith("float"):
        values = [0.0, -0.0, 1.5, -2.5, 0.25, np.inf, -np.inf, np.nan]
    else:
        values = [0, 1, 2, 7, 100] + ([] if dtype[0] == "u" else [-1, -3])
    grid = np.meshgrid(np.asarray(values, dtype), np.asarray(values, dtype))
    return [v.ravel().copy() for v in grid]


_ROWS = [(e, d) for e, dtypes in _CASES for d in dtypes]


def _expected_values(expression, dtype):
    function = eval(_source(expression), dict(REFERENCE.preamble))
    with np.errstate(all="ignore"):
        return function(*_values(dtype))


def _source(expression):
    return f"lambda x, y: {expression.format('x', 'y')}"


def _expression_spec(expression, dtype):
    out = str(_expected_values(expression, dtype).dtype)
    return _spec(expression, 2, dtype, out)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("expression", "dtype"), _ROWS)
def test_expressions_are_the_references(expression, dtype, how):
    x, y = _values(dtype)
    expected = _expected_values(expression, dtype)
    function = eval(_source(expression), dict(PREAMBLE))
    if how == "arrays":
        actual = evaluated(function, x, y)
    else:
        actual = np.empty_like(expected)
        if how == "CUDA":
            _run_cuda(_expression_spec(expression, dtype), x, y, actual)
        else:
            loop(function, [dtype, dtype], [str(expected.dtype)])(x, y, actual)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_random_words_are_the_references(dtype):
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**32, (6, 1000), dtype=np.uint64)
    words[:, 0], words[:, 1] = 0, 2**32 - 1
    expected = np.transpose(
        [[int(w) for w in words_of(column[:4], column[4:])] for column in words.T]
    )
    inputs = [w.astype(dtype) for w in words]

    def function(*x):
        return philox_4x32(x[:4], x[4:])

    outputs = [np.empty(1000, "uint32") for _ in range(4)]
    loop(function, [dtype] * 6, ["uint32"] * 4)(*inputs, *outputs)
    np.testing.assert_array_equal(outputs, expected)
    np.testing.assert_array_equal(evaluated(function, *inputs), expected)
