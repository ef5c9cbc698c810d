"""Kinds of input by name, made from good data: most malformed, some only unusual."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import scipy.sparse

import skgrad


def _strided(array):
    return np.repeat(array, 2, axis=0)[::-2][::-1]


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def _with(value, array, dtype=None):
    """Return a copy with another first element."""
    array = array.astype(dtype or array.dtype)
    array[(0,) * array.ndim] = value
    return array


def _objects(values):
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _frame(X, **kwargs):
    names = [f"x{j}" for j in range(X.shape[1])]
    return pd.DataFrame(X, columns=names, **kwargs)


def _mixed_frame(X, column):
    """Return a data frame whose first column is another."""
    frame = _frame(X)
    frame["x0"] = column
    return frame


def _nullable(X, dtype, missing=False):
    frame = _frame(np.round(X)).astype(dtype)
    if missing:
        frame.iloc[0, 0] = pd.NA
    return frame


def _letters(X):
    return np.where(X > 0, "a", "b")


def _dates(X):
    return np.abs(X).astype(np.int64).astype("datetime64[D]")


# Dtypes and magnitudes, for inputs and for numeric targets alike.
NUMBERS = {
    "as they are": lambda a: a.copy(),
    "float16": lambda a: a.astype(np.float16),
    "float32": lambda a: a.astype(np.float32),
    "big endian": lambda a: a.astype(">f8"),
    "longdouble": lambda a: a.astype(np.longdouble),
    "longdouble beyond float64": lambda a: a * np.longdouble("1e4000"),
    "bool": lambda a: a > np.median(a) if a.size else a > 0,
    "int8": lambda a: a.astype(np.int8),
    "uint64": lambda a: np.abs(a).astype(np.uint64) + np.uint64(2**63),
    "integer-like": np.round,
    "complex": lambda a: a + 1j,
    "complex with real values": lambda a: a.astype(np.complex64),
    "objects": lambda a: a.astype(object),
    "objects with a string": lambda a: _with("abc", a, object),
    "objects with a number as string": lambda a: _with("1.5", a, object),
    "objects with None": lambda a: _with(None, a, object),
    "objects with a list": lambda a: _with([1, 2], a, object),
    "objects with a huge int": lambda a: _with(10**400, a, object),
    "objects with complex": lambda a: _with(1j, a, object),
    "decimals": lambda a: _objects([Decimal(1)] * a.size).reshape(a.shape),
    "datetimes": _dates,
    "timedeltas": lambda a: _dates(a) - np.datetime64("1970-01-01"),
    "numbers as str": lambda a: a.astype(str),
    "numbers as bytes": lambda a: a.astype("S"),
    "letters": _letters,
    "StringDType": lambda a: _letters(a).astype(np.dtypes.StringDType()),
    "void": lambda a: a.astype(np.float64).view("V8"),
    "structured": lambda a: np.zeros(a.shape, dtype=[("u", "f8"), ("v", "i4")]),
    "nan": lambda a: _with(np.nan, a) if a.size else a,
    "inf": lambda a: _with(-np.inf, a) if a.size else a,
    "1e300": lambda a: a * 1e300,
    "1e100": lambda a: a * 1e100,
    "1e160": lambda a: a * 1e160,
    "one of 1e300": lambda a: _with(1e300, a) if a.size else a,
    "largest floats": lambda a: np.where(a > 0, 1, -1) * np.finfo(np.float64).max,
    "largest float32": lambda a: (
        np.where(a > 0, 1, -1) * np.finfo(np.float32).max
    ).astype(np.float32),
    "denormal": lambda a: a * 1e-310,
    "1e-100": lambda a: a * 1e-100,
    "1e-200": lambda a: a * 1e-200,
    "denormal float32": lambda a: (a * 1e-40).astype(np.float32),
    "far from zero": lambda a: a + 1e17,
    "constant": np.ones_like,
    "zeros": np.zeros_like,
    "masked": lambda a: np.ma.masked_greater(a, np.median(a)),
    "masked nowhere": np.ma.array,
    "read-only": _read_only,
    "negative strides": lambda a: a[::-1].copy()[::-1],
    "strides": _strided,
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "memoryview": lambda a: memoryview(np.ascontiguousarray(a)),
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(a.tolist()),
    "ragged": lambda a: [[1.0], *a.tolist()[1:]],
    "tensor": skgrad.tensor,
    "0-d": lambda a: np.array(3.0),
    "scalar": lambda a: 3.0,
    "None": lambda a: None,
    "string": lambda a: "abc",
    "dict": lambda a: dict(enumerate(a.tolist())),
    "set": lambda a: set(a.ravel().tolist()),
    "generator": lambda a: (row for row in a.tolist()),
    "function": lambda a: len,
    "object()": lambda a: object(),
    "empty list": lambda a: [],
    "no rows": lambda a: a[:0],
    "one row": lambda a: a[:1],
    "two rows": lambda a: a[:2],
    "fewer rows": lambda a: a[:-3],
    "more rows": lambda a: np.concatenate([a, a]),
    "another axis": lambda a: a[..., None],
    "two more axes": lambda a: a[None, ..., None],
    "transposed": lambda a: np.atleast_2d(a).T[:, : a.shape[0]],
    "wide range": lambda a: np.sign(a) * 10.0 ** np.clip(100 * a, -300, 300),
}

INPUTS = {
    **NUMBERS,
    "duplicate rows": lambda X: np.repeat(X[:1], len(X), axis=0),
    "Fortran": np.asfortranarray,
    "1-d": lambda X: X[:, 0],
    "no columns": lambda X: X[:, :0],
    "one column": lambda X: X[:, :1],
    "more columns": lambda X: np.hstack([X, X]),
    "one column of 1e300": lambda X: X * [1e300, *[1.0] * (X.shape[1] - 1)],
    "one column of 1e-300": lambda X: X * [1e-300, *[1.0] * (X.shape[1] - 1)],
    "rows as objects": lambda X: _objects(list(X)),
    "list of arrays": list,
    "list of dicts": lambda X: [{"x0": v} for v in X[:, 0].tolist()],
    "csr": scipy.sparse.csr_matrix,
    "csc array": scipy.sparse.csc_array,
    "matrix": np.asmatrix,
    "frame": _frame,
    "frame with positions": pd.DataFrame,
    "frame, other order": lambda X: _frame(X)[["x1", "x0", "x2"]],
    "frame, other names": lambda X: _frame(X).rename(columns={"x0": "z"}),
    "frame, equal names": lambda X: _frame(X).set_axis(["x"] * X.shape[1], axis=1),
    "frame, names and numbers": lambda X: _frame(X).rename(columns={"x0": 0}),
    "frame, MultiIndex": lambda X: _frame(X).set_axis(
        pd.MultiIndex.from_product([["a"], range(X.shape[1])]), axis=1
    ),
    "frame, MultiIndex of rows": lambda X: _frame(X).set_axis(
        pd.MultiIndex.from_product([["a"], range(len(X))]), axis=0
    ),
    "frame of dtypes": lambda X: _mixed_frame(X, X[:, 0] > 0),
    "frame with letters": lambda X: _mixed_frame(X, _letters(X[:, 0])),
    "frame with categories": lambda X: _mixed_frame(
        X, pd.Categorical(_letters(X[:, 0]))
    ),
    "frame with number categories": lambda X: _mixed_frame(
        X, pd.Categorical(np.round(X[:, 0]))
    ),
    "frame with dates": lambda X: _mixed_frame(X, _dates(X[:, 0])),
    "frame with objects": lambda X: _mixed_frame(X, X[:, 0].astype(object)),
    "Int64": lambda X: _nullable(X, "Int64"),
    "Int64 with NA": lambda X: _nullable(X, "Int64", missing=True),
    "Float64 with NA": lambda X: _nullable(X, "Float64", missing=True),
    "sparse frame": lambda X: _frame(np.round(X)).astype(
        pd.SparseDtype(float, fill_value=0.0)
    ),
    "series": lambda X: pd.Series(X[:, 0]),
    "polars": lambda X: pl.DataFrame(X, schema=["x0", "x1", "x2"][: X.shape[1]]),
    "polars with null": lambda X: pl.DataFrame({"x0": [None, *X[1:, 0]]}),
    "polars strings": lambda X: pl.DataFrame({"x0": _letters(X[:, 0])}),
}

TARGETS = {
    **NUMBERS,
    "column": lambda y: y[:, None],
    "row": lambda y: y[None],
    "two columns": lambda y: np.column_stack([y, y]),
    "two columns, one of strings": lambda y: _objects([[v, "a"] for v in y.tolist()]),
    "no columns": lambda y: y[:, None][:, :0],
    "column of objects": lambda y: y[:, None].astype(object),
    "negative": lambda y: -1.0 - np.abs(y) if y.dtype.kind == "f" else y,
    "mixed types": lambda y: _objects([1, "a"] * (len(y) // 2)),
    "mixed numbers": lambda y: _objects([True, 2.5] * (len(y) // 2)),
    "strings and NaN": lambda y: _objects(["a", np.nan] * (len(y) // 2)),
    "tuples": lambda y: _objects([(v, v) for v in y.tolist()]),
    "lists of labels": lambda y: [[v] for v in y.tolist()],
    "classes 0 and 1": lambda y: np.arange(len(y)) % 2,
    "classes as str": lambda y: np.array(["b", "a"])[np.arange(len(y)) % 2],
    "classes as bytes": lambda y: np.array([b"b", b"a"])[np.arange(len(y)) % 2],
    "classes as bool": lambda y: np.arange(len(y)) % 2 == 0,
    "classes as whole floats": lambda y: np.arange(len(y)) % 3 * 1.0,
    "classes as halves": lambda y: np.arange(len(y)) % 3 / 2,
    "classes as objects": lambda y: _objects(["b", "a"] * (len(y) // 2)),
    "a class of one": lambda y: (np.arange(len(y)) == 0) * 1,
    "each its own class": lambda y: np.arange(len(y)),
    "each its own string": lambda y: np.arange(len(y)).astype(str),
    "indicator": lambda y: np.eye(len(y), dtype=int)[:, :2],
    "sparse column": lambda y: scipy.sparse.csr_matrix(np.arange(len(y))[:, None]),
    "sparse columns": lambda y: scipy.sparse.csr_array(np.eye(len(y))),
    "series": pd.Series,
    "series of strings": lambda y: pd.Series(["b", "a"] * (len(y) // 2)),
    "series of categories": lambda y: pd.Series(
        ["b", "a"] * (len(y) // 2), dtype="category"
    ),
    "series, Int64": lambda y: pd.Series([1, 2] * (len(y) // 2), dtype="Int64"),
    "series, Int64 with NA": lambda y: pd.Series(
        [1, None] * (len(y) // 2), dtype="Int64"
    ),
    "series, boolean": lambda y: pd.Series(
        [True, False] * (len(y) // 2), dtype="boolean"
    ),
    "series of dates": lambda y: pd.Series(_dates(np.arange(len(y)))),
    "series, other index": lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
    "frame": lambda y: pd.DataFrame({"a": y}),
    "frame of two": lambda y: pd.DataFrame({"a": y, "b": y}),
    "frame with strings": lambda y: pd.DataFrame({"a": y, "b": "c"}),
    "polars series": lambda y: pl.Series("y", y),
    "polars strings": lambda y: pl.Series("y", ["b", "a"] * (len(y) // 2)),
    "polars frame": lambda y: pl.DataFrame({"y": y}),
}

WEIGHTS = {
    "none given": lambda w: None,
    **NUMBERS,
    "negative": lambda w: -w,
    "one negative": lambda w: _with(-1.0, w),
    "one positive": lambda w: (np.arange(len(w)) == 0) * 1.0,
    "every other": lambda w: np.arange(len(w)) % 2 * 1.0,
    "largest and denormal": lambda w: np.where(
        np.arange(len(w)) % 2, np.finfo(float).max, 5e-324
    ),
    "column": lambda w: w[:, None],
    "matrix": lambda w: np.outer(w, w),
    "csr": scipy.sparse.csr_matrix,
    "balanced": lambda w: "balanced",
    "series": pd.Series,
    "series with NA": lambda w: pd.Series(_with(None, w, object)).astype("Float64"),
    "series, other index": lambda w: pd.Series(w, index=np.arange(len(w))[::-1]),
    "polars series": lambda w: pl.Series("w", w),
}
