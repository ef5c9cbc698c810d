"""Seconds per quantile regression: skgrad, scikit-learn, statsmodels and quantreg.

    python benchmarks/bench_quantile.py [--quick] [--only SECTION] [--output DIR]

Four sections. `sizes`: one level, 0.9, of 10,000 to 1,000,000 rows. `levels`: nine
levels in one fit beside one. `small`: 50 to 1,000 rows beside scikit-learn. `memory`:
what a fit of skgrad needs beyond its rows, in a process of its own (on Linux). The rows
are float64 with heavy tails in y, penalties are zero, every library fits an intercept.
One core and one thread; samples are interleaved, and a matrix product outside all
libraries is timed beside each round. A library is sampled in every round until it has
used its seconds, at least once. The objectives of all are computed alike: where
skgrad's lies above the smallest, the run fails; no time makes it fail. Writes
bench_quantile.json, and from it bench_quantile.md and bench_quantile.png
(quantile_tables.py).

R and its package quantreg are left out where they are not installed. R uses the BLAS it
was linked to, often the reference one; --r-preload LIBRARIES gives it another, such as
the libblas.so.3 and liblapack.so.3 of OpenBLAS.
"""

import argparse
import contextlib
import functools
import importlib.metadata
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import quantile_tables
from bench_fit import about, alone_on_a_core, environment
from fit_problems import control, medians
from peers import seconds
from quantile_peers import (
    TIGHT,
    Quantreg,
    R,
    ScikitLearn,
    Skgrad,
    SkgradSeparately,
    Statsmodels,
    data,
    objective,
)

HERE = Path(__file__).parent
ONE, NINE = [0.9], [k / 10 for k in range(1, 10)]
SIZES = [(10_000, 10), (10_000, 50), (100_000, 50), (1_000_000, 20)]
QUICK_SIZES = [(1_000, 10), (2_000, 10)]
SMALL = [(n, p) for p in (5, 10) for n in (50, 100, 200, 500, 1_000)]
QUICK_SMALL = [(50, 5), (200, 5)]
# The largest numbers of rows at which a library is asked, by what it took there: 10 to
# 30 s for scikit-learn's fit of 10,000 x 50, 3 s for quantreg's fn of 100,000 x 50.
LIMITS = {"scikit-learn": 10_000, "statsmodels": 10_000, "br": 10_000, "fn": 100_000}
# quantreg's other methods: sfn is for sparse designs (0.1 s at 10,000 x 10, twice br),
# conquer smooths the loss, ppro has no way to fit one level.
METHODS = ("br", "fn", "pfn", "pfnb")
BUDGET = 10.0  # seconds of samples for one library at one size
WARM = (500, 20)  # the size of the fits before the first sample, not timed


# --- what all sections share ----------------------------------------------------------


def compared(jobs, X, y, rounds):
    """Return seconds and objectives of jobs: name -> (peer, levels)."""
    warm_up(jobs, X, y)
    libraries = {
        k: {"levels": levels, "samples": []} for k, (_, levels) in jobs.items()
    }
    controls = []
    for _ in range(rounds):
        controls.append(seconds(control()))
        for name, (peer, _) in jobs.items():
            if sum(libraries[name]["samples"]) < BUDGET:
                add_sample(libraries[name], peer, X, y)
    for library in libraries.values():
        library["fit_s"] = statistics.median(library["samples"])
    add_excess(libraries)
    control_s = statistics.median(controls)
    return {"n_rows": len(X), "n_features": X.shape[1]} | {
        "control_s": control_s,
        "libraries": libraries,
    }


def warm_up(jobs, X, y):
    few = data(*WARM)
    for peer, levels in jobs.values():
        peer.load(*few)
        for _ in range(2):  # R compiles a function when it is called a second time
            peer.sample(levels)
    for peer, levels in jobs.values():
        if isinstance(peer, Skgrad):  # kernels that only larger work is worth
            peer.load(X, y)
            peer.sample(levels)


def add_sample(library, peer, X, y):
    peer.load(X, y)
    took, coefs = peer.sample(library["levels"])
    library["samples"].append(took)
    library["objectives"] = [
        objective(X, y, level, coef)
        for level, coef in zip(library["levels"], coefs, strict=True)
    ]
    if isinstance(peer, Skgrad):
        library["duality_gap"] = peer.duality_gap()


def add_excess(libraries):
    """Note how far each objective lies above the smallest, relatively, at the worst."""
    smallest = {}
    for library in libraries.values():
        for level, value in zip(library["levels"], library["objectives"], strict=True):
            smallest[level] = min(value, smallest.get(level, value))
    for library in libraries.values():
        pairs = zip(library["levels"], library["objectives"], strict=True)
        library["excess"] = max(value / smallest[level] - 1 for level, value in pairs)


def allowed(name, n_rows):
    return n_rows <= LIMITS.get(name, n_rows)


def row_of(section, jobs, shape, rounds):
    row = compared(jobs, *data(*shape), rounds)
    times = [f"{k} {v['fit_s']:.4f}" for k, v in row["libraries"].items()]
    print(f"{section}: {shape[0]:,} x {shape[1]} |", ", ".join(times), flush=True)
    return row


# --- sections -------------------------------------------------------------------------


def python_peers():
    """Return the libraries of this process by name, and why others are missing."""
    makers = {
        "scikit-learn": ScikitLearn,
        "statsmodels": Statsmodels,
        f"statsmodels, p_tol {TIGHT:g}": functools.partial(Statsmodels, TIGHT),
    }
    found, missing = {"skgrad": Skgrad()}, {}
    for name, maker in makers.items():
        try:
            found[name] = maker()
        except ImportError as error:
            missing[name] = str(error)
    return found, missing


def sizes(options, folder):
    """Measure one level of all libraries."""
    peers, missing = python_peers()
    rows = []
    for shape in QUICK_SIZES if options.quick else SIZES:
        jobs = {
            name: (peer, ONE)
            for name, peer in peers.items()
            if allowed(name.split(",")[0], shape[0])
        }
        if options.r:
            jobs |= {
                f"quantreg {method}": (Quantreg(options.r, method), ONE)
                for method in METHODS
                if allowed(method, shape[0])
            }
        rows.append(row_of("sizes", jobs, shape, options.rounds))
    return {"rows": rows, "missing": missing}


def levels(options, folder):
    """Measure nine levels, in one fit and in nine, beside one level."""
    together, apart = Skgrad(), SkgradSeparately()
    jobs = {
        "skgrad, one": (together, ONE),
        "skgrad, nine": (together, NINE),
        "skgrad, nine fits": (apart, NINE),
    }
    if options.r:
        for method in ("pfn", "pfnb"):
            peer = Quantreg(options.r, method)
            jobs[f"quantreg {method}, one"] = (peer, ONE)
            jobs[f"quantreg {method}, nine"] = (peer, NINE)
    shapes = QUICK_SIZES if options.quick else SIZES
    rows = [row_of("levels", jobs, shape, options.rounds) for shape in shapes[1:]]
    return {"rows": rows}


def small(options, folder):
    """Measure fits of milliseconds, many of each."""
    jobs = {"skgrad": (Skgrad(), ONE), "scikit-learn": (ScikitLearn(), ONE)}
    shapes = QUICK_SMALL if options.quick else SMALL
    rows = [row_of("small", jobs, shape, options.repetitions) for shape in shapes]
    return {"rows": rows, "repetitions": options.repetitions}


def memory(options, folder):
    """Measure the memory of a fit, and what a process's first fit takes."""
    rows, warm = [], 1_000 if options.quick else 10_000
    processes = 1 if options.quick else 3
    for n, p in [(20_000, 20)] if options.quick else SIZES[2:]:
        X, y = data(n, p)
        file = f"{folder}/rows.npz"
        np.savez(file, X=X, y=y)
        samples = []
        for _ in range(processes):
            with tempfile.TemporaryDirectory() as cache:
                done = subprocess.run(
                    [sys.executable, HERE / "quantile_peers.py", str(warm), file],
                    env=environment(options.core, cache),
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
            samples.append(json.loads(done.stdout))
        rows.append({"n_rows": n, "n_features": p} | medians(samples))
        print(f"memory: {rows[-1]}", flush=True)
    return {"rows": rows, "warm_rows": warm, "processes": processes}


# --- the run --------------------------------------------------------------------------

SECTIONS = {"sizes": sizes, "levels": levels, "small": small, "memory": memory}


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=SECTIONS)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--r-preload", metavar="LIBRARIES")
    options = parser.parse_args()
    options.rounds, options.repetitions = (3, 11) if options.quick else (5, 101)
    if options.output is None:
        quick = Path(tempfile.gettempdir()) / "bench_quantile_quick"
        options.output = quick if options.quick else HERE / "results"
    options.output.mkdir(parents=True, exist_ok=True)
    return options


def started_r(options):
    """Return R, or None, and what the report says of the peers' versions."""
    versions = {}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        versions["statsmodels"] = importlib.metadata.version("statsmodels")
    try:
        process = R(options.r_preload)
    except ImportError as error:
        return None, versions | {"R": f"left out, {error}"}
    return process, versions | {
        "R": process.version,
        "quantreg": process.quantreg,
        "R's BLAS": process.blas,
    }


def main():
    options = parsed()
    alone_on_a_core(options)
    options.r, versions = started_r(options)
    file = options.output / "bench_quantile.json"
    results = json.loads(file.read_text()) if options.only and file.exists() else {}
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for name in [options.only] if options.only else SECTIONS:
            found = SECTIONS[name](options, folder)
            results[name] = {"about": about(options)} | found
            results[name]["about"]["versions"] |= versions
            file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.r:
        options.r.close()
    print(f"Measured in {time.perf_counter() - begin:.0f} s.\n")
    quantile_tables.write(results, options.output)
    wrong = quantile_tables.worse_than_exact(results)
    if wrong:
        sys.exit("skgrad's objective is not the smallest: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
