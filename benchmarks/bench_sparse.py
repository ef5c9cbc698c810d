"""Linear models of sparse inputs beside scikit-learn's.

    python benchmarks/bench_sparse.py

50,000 x 20,000, 0.1 % of the elements lognormal and the others zero, a tenth of the
columns with a coefficient; and 50,000 x 400 at 5 %. The same objective on both sides
(``standardize=False``), whose excess over the best value found stands beside the time:
solvers stop by different rules. Squared error is regression, the rest two classes.
Seconds of the processor on one thread, medians of interleaved rounds, after a fit that
compiles. Writes results/bench_sparse.md.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import platform
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse
import sklearn
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge, SGDClassifier

import skgrad
from skgrad import GradientLinearClassifier, GradientLinearRegressor

RESULT = Path(__file__).parent / "results" / "bench_sparse.md"
ROUNDS, ALPHA = 3, 1e-4
OURS = {"standardize": False}


def inputs(rng, n, p, density):
    X = scipy.sparse.random_array(
        (n, p),
        density=density,
        rng=rng,
        data_sampler=lambda size: rng.lognormal(size=size),
    ).tocsr()
    coef = rng.normal(size=p) * (np.arange(p) < p // 10)
    z = X @ coef
    z = 2 * (z - z.mean()) / z.std()
    labels = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    return X, labels, z + rng.normal(size=n)


def fits(n):
    """Return rows: name, estimators, whether squared error, alpha, l1_ratio."""
    l2 = {"C": 1 / (ALPHA * n), "max_iter": 1000}
    l1 = {"C": 1 / (2 * ALPHA * n), "max_iter": 1000, "l1_ratio": 1}
    sgd = {"loss": "log_loss", "alpha": ALPHA, "max_iter": 20, "tol": None}
    steps = {"max_iter": 20, "tol": None, "learning_rate": 2.0, "batch_size": 200}
    classes, numbers = GradientLinearClassifier, GradientLinearRegressor
    half = {"alpha": 10 * ALPHA, "l1_ratio": 0.5}
    return {
        "log loss, L2": (
            {
                "skgrad, auto, tol=1e-4": classes(alpha=ALPHA, tol=1e-4, **OURS),
                "the same, tol=1e-3": classes(alpha=ALPHA, tol=1e-3, **OURS),
                "LogisticRegression, lbfgs, 1e-6": LogisticRegression(tol=1e-6, **l2),
                "LogisticRegression, newton-cg": LogisticRegression(
                    tol=1e-6, solver="newton-cg", **l2
                ),
                "LogisticRegression, saga, 20 passes": LogisticRegression(
                    **{**l2, "max_iter": 20}, solver="saga"
                ),
            },
            (False, ALPHA, 0.0),
        ),
        "log loss, 20 epochs": (
            {
                "skgrad, sgd, batches of 200": classes(
                    alpha=ALPHA, optimizer="sgd", **steps, **OURS
                ),
                "SGDClassifier": SGDClassifier(**sgd),
            },
            (False, ALPHA, 0.0),
        ),
        "log loss, L1": (
            {
                "skgrad, auto": classes(alpha=2 * ALPHA, l1_ratio=1.0, **OURS),
                "LogisticRegression, liblinear": LogisticRegression(
                    solver="liblinear", intercept_scaling=100, **l1
                ),
            },
            (False, 2 * ALPHA, 1.0),
        ),
        "squared error, L2": (
            {
                "skgrad, newton_cg": numbers(
                    alpha=ALPHA, optimizer="newton_cg", **OURS
                ),
                "skgrad, auto": numbers(alpha=ALPHA, **OURS),
                "Ridge, sparse_cg, 1e-6": Ridge(
                    alpha=ALPHA * n, solver="sparse_cg", tol=1e-6
                ),
            },
            (True, ALPHA, 0.0),
        ),
        "squared error, elastic net": (
            {
                "skgrad, auto": numbers(**half, **OURS),
                "ElasticNet, 1e-6": ElasticNet(**half, tol=1e-6),
            },
            (True, 10 * ALPHA, 0.5),
        ),
    }


def objective(model, X, y, squared, alpha, l1_ratio):
    coef = np.ravel(model.coef_)
    raw = X @ coef + np.ravel(model.intercept_)
    loss = (y - raw) ** 2 / 2 if squared else np.logaddexp(0, raw * (1 - 2 * y))
    l1, l2 = np.abs(coef).sum(), coef @ coef / 2
    return loss.mean() + alpha * (l1_ratio * l1 + (1 - l1_ratio) * l2)


def seconds(model, X, y):
    start = time.process_time()
    model.fit(X, y)
    return time.process_time() - start


def rows(title, n, p, density):
    X, labels, numbers = inputs(np.random.default_rng(0), n, p, density)
    for name, (models, what) in fits(n).items():
        y = numbers if what[0] else labels
        for model in models.values():
            model.fit(X, y)
        times = [[seconds(m, X, y) for m in models.values()] for _ in range(ROUNDS)]
        medians = [statistics.median(column) for column in zip(*times, strict=True)]
        values = [objective(m, X, y, *what) for m in models.values()]
        for key, took, value in zip(models, medians, values, strict=True):
            excess = value / min(values) - 1
            yield f"| {title} | {name} | {key} | {took:.3f} | {excess:.1e} |"


def main():
    warnings.simplefilter("ignore")  # of passes that are too few
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    lines = [
        "# Sparse inputs beside scikit-learn",
        "",
        "Written by `python benchmarks/bench_sparse.py`, which says what is compared.",
        f"One thread; skgrad {skgrad.__version__}, scikit-learn {sklearn.__version__}, "
        f"SciPy {scipy.__version__}, Python {platform.python_version()}.",
        "",
        "| inputs | objective | fit | s | excess of the objective |",
        "| --- | --- | --- | --- | --- |",
    ]
    shapes = {
        "50,000 x 20,000, 0.1 %": (50_000, 20_000, 1e-3),
        "50,000 x 400, 5 %": (50_000, 400, 0.05),
    }
    for title, shape in shapes.items():
        for row in rows(title, *shape):
            lines.append(row)
            print(row, file=sys.stderr)
    RESULT.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
