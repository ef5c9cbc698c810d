"""Seconds per fit, skgrad beside scikit-learn, in one interleaved run.

    python benchmarks/bench_fit.py

Every row fits the same model of both libraries to the same data: networks with Adam for
the same number of epochs (each shuffles as it does by default, last partial batch
included), linear models to their default tolerance. One BLAS thread, one warm-up fit
each, then medians of interleaved fits. A matrix product outside both libraries is timed
beside them: where it moves, the machine moved. Writes results/bench_fit.md.
"""

import platform
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPRegressor as SklearnMLPRegressor
from threadpoolctl import threadpool_limits

import skgrad
from skgrad import GradientLinearClassifier, GradientLinearRegressor, MLPRegressor

RESULT = Path(__file__).parent / "results" / "bench_fit.md"
REPEATS = 5
EPOCHS = 5


def data(n_samples, n_features, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, n_features)).astype(dtype)
    y = X[:, 0] + np.sin(3 * X[:, 1]) + 0.1 * rng.normal(size=n_samples)
    return X, y.astype(dtype)


def network_rows():
    """Yield a name, the two models, the data and how to score the result."""
    X, y = data(20_000, 20, np.float32)
    for hidden in [(64,), (100,), (256, 256)]:
        for batch in [32, 256, 1024]:
            shared = {
                "hidden_layer_sizes": hidden,
                "batch_size": batch,
                "max_iter": EPOCHS,
                "random_state": 0,
            }
            ours = MLPRegressor(**shared, tol=None, standardize=False)
            theirs = SklearnMLPRegressor(
                **shared, tol=0, n_iter_no_change=EPOCHS + 1, alpha=0
            )
            name = f"MLP {'x'.join(map(str, hidden))}, batch {batch}, float32"
            yield name, ours, theirs, X, y, EPOCHS


def linear_rows():
    X, y = data(100_000, 50, np.float64)
    yield (
        "least squares, 100,000 x 50",
        GradientLinearRegressor(),
        LinearRegression(),
        X,
        y,
        1,
    )
    labels = (y > 0).astype(int)
    theirs = LogisticRegression(C=1 / (1e-4 * len(X)), solver="newton-cholesky")
    ours = GradientLinearClassifier(alpha=1e-4)
    yield "logistic (newton-cholesky), 100,000 x 50", ours, theirs, X, labels, 1


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def timed(ours, theirs, X, y):
    """Return the median seconds of both fits and of the control, interleaved."""
    A = np.random.default_rng(1).normal(size=(500, 500))
    jobs = [lambda: ours.fit(X, y), lambda: theirs.fit(X, y), lambda: A @ A @ A]
    for job in jobs:
        job()
    times = [[seconds(job) for job in jobs] for _ in range(REPEATS)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    lines = [
        "| model | skgrad, s | scikit-learn, s | ratio | score | score | control, ms |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    ratios = []
    with threadpool_limits(1):
        for name, ours, theirs, X, y, units in [*network_rows(), *linear_rows()]:
            a, b, control = timed(ours, theirs, X, y)
            scores = f"{ours.score(X, y):.4f} | {theirs.score(X, y):.4f}"
            line = f"| {name} | {a / units:.4f} | {b / units:.4f} | {b / a:.2f} "
            lines.append(f"{line}| {scores} | {1000 * control:.1f} |")
            print(lines[-1], flush=True)
            if units > 1:
                ratios.append(b / a)
    mean = statistics.geometric_mean(ratios)
    head = [
        "# Fits beside scikit-learn",
        "",
        f"Written by `python benchmarks/bench_fit.py`: skgrad {skgrad.__version__} "
        f"(reference executor, NumPy {np.__version__}), scikit-learn "
        f"{sklearn.__version__}, Python {platform.python_version()}, one BLAS thread, "
        f"medians of {REPEATS} interleaved fits. Networks: seconds per epoch at 20,000 "
        "x 20. Ratio: scikit-learn's time over skgrad's; above 1 skgrad is faster. "
        f"Geometric mean over the networks: {mean:.2f}.",
        "",
    ]
    RESULT.write_text("\n".join(head + lines) + "\n", encoding="utf-8")
    print(f"\nWritten to {RESULT}")


if __name__ == "__main__":
    main()
