"""Seconds per additive model: skgrad beside R's mgcv.

    python benchmarks/bench_additive.py [--quick]

Five smooth terms of ten functions each, smoothness by REML: squared error, Poisson
counts and two classes, of 10,000 and 100,000 rows, two of the five columns without an
effect or a straight one. mgcv is asked three times: `gam`, `bam`, which takes REML of a
working linear model, and `bam` with `discrete=TRUE`, which rounds the columns. skgrad
and `gam` minimise the same criterion with another basis (cubic splines, thin plates);
degrees of freedom and mean deviances stand beside the times. One thread and one core,
medians; R with the BLAS it was linked to. Writes results/bench_additive.md.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import skgrad
from skgrad import AdditiveClassifier, AdditiveRegressor

HERE = Path(__file__).parent
RESULT = HERE / "results" / "bench_additive.md"
FAMILIES = {"gaussian": "squared_error", "poisson": "poisson", "binomial": "log_loss"}
R_VERSIONS = "as.character(packageVersion('mgcv')), 'on', basename(La_library())"
METHODS = ("gam", "bam", "discrete")
SLOW = 50_000  # rows from which gam takes minutes for counts and classes


def data(n, family):
    """Return five uniform columns, three of which bend, and targets of a family."""
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(n, 5))
    bumps = 0.2 * X[:, 2] ** 11 * (10 * (1 - X[:, 2])) ** 6 / 10
    raw = np.sin(2 * np.pi * X[:, 0]) + np.exp(2 * X[:, 1]) / 3 + bumps + X[:, 3]
    if family == "gaussian":
        return X, raw + rng.normal(size=n)
    if family == "poisson":
        return X, rng.poisson(np.exp(raw / 3)).astype(float)
    return X, (rng.uniform(size=n) < 1 / (1 + np.exp(2 - raw))).astype(float)


def ours(X, y, family, rounds):
    """Return median seconds, degrees of freedom and the mean deviance."""
    kind = AdditiveClassifier if family == "binomial" else AdditiveRegressor
    model = kind(loss=FAMILIES[family])
    model.fit(X[:2000], y[:2000])  # kernels are loaded
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        model.fit(X, y)
        times.append(time.perf_counter() - start)
    perfect = np.where(y > 0, y - y * np.log(np.maximum(y, 1)), 0.0).mean()
    deviance = 2 * (model.loss_ - (perfect if family == "poisson" else 0.0))
    return statistics.median(times), model.total_edf_, deviance


def theirs(file, method, family, rounds):
    """Return what additive_peers.R answers."""
    command = ["Rscript", "--vanilla", str(HERE / "additive_peers.R")]
    asked = [str(file), method, family, str(rounds)]
    done = subprocess.run(
        [*command, *asked], capture_output=True, text=True, check=True
    )
    return tuple(map(float, done.stdout.split()))


def row(n, family, rounds, folder):
    """Return a row of the table."""
    X, y = data(n, family)
    file = Path(folder) / "rows.csv"
    header = ",".join([*(f"x{j}" for j in range(5)), "y"])
    np.savetxt(file, np.column_stack([X, y]), delimiter=",", header=header, comments="")
    found = {"skgrad": ours(X, y, family, rounds)}
    for method in METHODS:
        if method != "gam" or n < SLOW or family == "gaussian":
            few = 1 if method == "gam" else min(rounds, 3)
            found[method] = theirs(file, method, family, few)
    cells = [f"{n:,}", family]
    peers = ("skgrad", *METHODS)
    cells += [f"{found[k][0]:.2f}" if k in found else "-" for k in peers]
    for name in ("skgrad", "gam", "bam"):
        _, edf, deviance = found.get(name, (None,) * 3)
        cells.append("-" if edf is None else f"{edf:.2f}; {deviance:.5f}")
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    sizes, rounds = ((1000, 2000), 1) if quick else ((10_000, 100_000), 5)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    version = subprocess.run(
        ["Rscript", "-e", f"cat({R_VERSIONS})"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = [
        "# Additive models beside mgcv",
        "",
        "Written by `python benchmarks/bench_additive.py`, which says what is "
        "compared.",
        f"Seconds; one thread; skgrad {skgrad.__version__}, mgcv {version}, Python "
        f"{platform.python_version()}.",
        "",
        "| rows | family | skgrad | gam | bam | bam, discrete | skgrad: edf; mean "
        "deviance | gam | bam |",
        "| --- " * 9 + "|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            for family in FAMILIES:
                lines.append(row(n, family, rounds, folder))
                print(lines[-1], flush=True)
    if not quick:
        RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
