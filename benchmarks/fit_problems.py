"""What the sections of bench_fit.py share: rows, initial weights, controls, medians."""

import functools
import statistics
from itertools import pairwise
from pathlib import Path

import numpy as np
from peers import SEED, seconds
from scipy.linalg.blas import dgemm, sgemm

import skgrad
from skgrad import nn
from skgrad.train import Data

N_ROWS, N_FEATURES = 20_000, 20


def data(n_samples, n_features, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, n_features)).astype(dtype)
    y = X[:, 0] + np.sin(3 * X[:, 1]) + 0.1 * rng.normal(size=n_samples)
    return X, y.astype(dtype)


def initial_weights(hidden, dtype):
    """Return the weights and biases MLPRegressor(random_state=SEED) starts from."""
    widths = [N_FEATURES, *hidden, 1]
    with skgrad.random_seed(SEED), nn.default_dtype(dtype):
        layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    return [(layer.weight.numpy(), layer.bias.numpy()) for layer in layers]


def request_for(hidden, batch, dtype, folder, n_epochs=20):
    """Return a request for one model, and write its rows, weights and permutations."""
    X, y = data(N_ROWS, N_FEATURES, dtype)
    rows = Data(X, y, np.ones_like(y))  # its permutations are those of the estimator
    orders = [np.concatenate([*rows.batches(batch, SEED, e)]) for e in range(n_epochs)]
    arrays = {"X": X, "y": y, "orders": np.array(orders)}
    for i, (W, b) in enumerate(initial_weights(hidden, dtype)):
        arrays |= {f"W{i}": W, f"b{i}": b}
    file = Path(folder) / f"{'x'.join(map(str, hidden))}-{batch}-{dtype}.npz"
    np.savez(file, **arrays)
    return {"hidden": hidden, "batch": batch, "dtype": dtype, "file": str(file)}


@functools.cache
def control():
    A = np.random.default_rng(1).normal(size=(500, 500))
    A @ A
    return lambda: A @ A @ A


def medians(samples):
    """Return the median of each number over the samples, and what is not a number."""
    return {
        key: statistics.median(s[key] for s in samples)
        if isinstance(value, float)
        else value
        for key, value in samples[0].items()
    }


def interleaved(jobs, rounds):
    """Return the median seconds of each job and of the control, after a warm-up.

    The order of a round is by chance: what ran before leaves caches and clocks as it
    had them, and that should not always be the same job's.
    """
    jobs = jobs | {"control": control()}
    for job in jobs.values():
        job()
    rng, names = np.random.default_rng(0), list(jobs)
    orders = [rng.permutation(names).tolist() for _ in range(2 * rounds + 1)]
    return medians([{k: seconds(jobs[k]) for k in order} for order in orders])


class Products:
    """The matrix products of a step alone, on arrays that exist already."""

    def __init__(self, hidden, dtype):
        self.gemm = sgemm if dtype == "float32" else dgemm
        self.widths, self.dtype = [N_FEATURES, *hidden, 1], dtype

    def operands(self, n_rows):
        """Return (A, B, out) of each product: forward, then by weights and inputs."""
        make = functools.partial(np.ones, dtype=self.dtype)
        H = [make((n_rows, width)) for width in self.widths]
        W = [make((b, a)) for a, b in pairwise(self.widths)]
        G, D = [h.copy() for h in H], [w.copy() for w in W]
        layers = range(len(W))
        forward = [(H[i], W[i].T, H[i + 1]) for i in layers]
        by_weights = [(G[i + 1].T, H[i], D[i]) for i in layers]
        by_inputs = [(G[i + 1], W[i], G[i]) for i in layers[1:]]
        return forward + by_weights + by_inputs

    def prepared(self, n_rows):
        """Return functions that run the products by NumPy and by SciPy's gemm."""
        operands = self.operands(n_rows)
        calls = []
        for A, B, out in operands:  # Fortran's order: the transposed product, no copy
            (a, ta), (b, tb) = (
                (M.T, False) if M.flags.c_contiguous else (M, True) for M in (B, A)
            )
            calls.append((1.0, a, b, 0.0, out.T, ta, tb, True))

        def by_numpy():
            for A, B, out in operands:
                np.matmul(A, B, out=out)

        def by_scipy():
            for call in calls:
                self.gemm(*call)

        return by_numpy, by_scipy

    def epoch_seconds(self, batch):
        """Return the seconds of an epoch's products, by the faster of the two."""
        full, rest = divmod(N_ROWS, batch)
        parts = [(full, self.prepared(batch))] + [(1, self.prepared(rest))] * (rest > 0)
        totals = [0.0, 0.0]
        for way in range(2):
            for times, functions in parts:
                functions[way]()
                repeats = max(5, min(times, 50))
                took = seconds(
                    lambda f=functions[way], r=repeats: [f() for _ in range(r)]
                )
                totals[way] += times * took / repeats
        return min(totals)
