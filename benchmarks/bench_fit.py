"""Seconds per fit: skgrad beside scikit-learn, PyTorch and JAX.

    python benchmarks/bench_fit.py [--quick] [--only SECTION] [--output DIR]

Four sections. `mlp`: networks in three widths and three batch sizes, the same rows,
weights, loss and optimizer for every library. `start`: a whole fit from the launch of
its process, compilation included. `linear`: linear models against every solver of
scikit-learn. `small`: a fit on 500 rows. Each library has a process of its own
(peers.py), on one core; samples are interleaved, and a matrix product outside all
libraries is timed beside each round: where it moves, the machine moved. The final
losses are compared, and where they disagree the run says so and fails. Writes
bench_fit.json, and from it bench_fit.md and bench_fit.png (fit_tables.py).

--quick measures a part of it, in a temporary folder; --only replaces one section of the
results that are there.
"""

import argparse
import compileall
import contextlib
import importlib.metadata
import json
import math
import operator
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import fit_tables
import numpy as np
from fit_linear import linear, small
from fit_problems import N_ROWS, Products, control, medians, request_for
from peers import KINDS, STARTED, seconds
from sklearn.exceptions import ConvergenceWarning

import skgrad

HERE = Path(__file__).parent
PACKAGES = ("skgrad", "numpy", "scipy", "scikit-learn", "torch", "jax", "llvmlite")
EPOCHS = 20
OURS = ("skgrad", "skgrad.train")  # behind fit and predict, and the loop beneath
WIDTHS, BATCHES = [(64,), (100,), (256, 256)], [32, 256, 1024]
CONFIGS = [
    *[(hidden, batch, "float32") for hidden in WIDTHS for batch in BATCHES],
    ((64,), 256, "float64"),
]
QUICK_CONFIGS = [((64,), 256, "float32"), ((256, 256), 1024, "float32")]
# How far a library's mean loss of the first and of the last checked epoch may be from
# skgrad's. The same steps, rounded differently, drift apart where the loss falls
# steeply: in float32 by 4 percent after 1875 steps of (256, 256) at batch 32, while in
# float64 six digits agree. torch.compile's Adam keeps its bias corrections in float32:
# 2e-6. scikit-learn takes the rows in an order of its own, and orders alone moved the
# loss of the second epoch there by 25 percent, so only its first is held to something.
TOLERANCES = {"float32": (2e-3, 0.1), "float64": (1e-5, 1e-5)}
OWN_ORDER = (0.05, math.inf)


# --- what all sections share ----------------------------------------------------------


def environment(cores, folder, **more):
    """Return the environment of a child: these cores, caches of its own, empty."""
    variables = {
        "BENCH_CORES": ",".join(map(str, sorted(cores))),
        "SKGRAD_CACHE_DIR": f"{folder}/skgrad",
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        # JAX 0.10 sizes its thread pools by NPROC and by the cores it may run on; the
        # flags of XLA that older releases had for it no longer change anything.
        "NPROC": str(len(cores)),
        "PYTHONPATH": os.pathsep.join(
            [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
        ),
    }
    return os.environ | variables | more


class Worker:
    """A process with one library."""

    def __init__(self, name, folder, cores):
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "peers.py"), "worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(cores, folder),
        )
        self.missing = self.answer().get("missing")

    def answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"missing": "its process died"}

    def ask(self, **request):
        if self.missing:
            return {"missing": self.missing}
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(request), file=self.process.stdin, flush=True)
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# --- networks -------------------------------------------------------------------------


def mlp(options, folder):
    """Measure the networks: all libraries in turn, several rounds."""
    configs = QUICK_CONFIGS if options.quick else CONFIGS
    workers = [Worker(name, folder, options.core) for name in KINDS]
    rows = []
    for hidden, batch, dtype in configs:
        rows.append(
            network(workers, request_for(hidden, batch, dtype, folder), options)
        )
        show(rows[-1])
    peaks = {w.name: w.ask(do="peak").get("peak_mb") for w in workers}
    for worker in workers:
        worker.close()
    missing = {w.name: w.missing for w in workers if w.missing}
    return {"rows": rows, "peak_mb": peaks, "missing": missing}


def network(workers, request, options):
    products = Products(request["hidden"], request["dtype"])
    libraries = {w.name: w.ask(do="prepare", **request) for w in workers}
    ready = [w for w in workers if "missing" not in libraries[w.name]]
    samples, own = {w.name: [] for w in ready}, []
    for _ in range(options.rounds):
        beside = {
            "control_s": seconds(control()),
            "products_s": products.epoch_seconds(request["batch"]),
        }
        own.append(beside)
        for worker in ready:
            samples[worker.name].append(worker.ask(do="sample"))
    for name, each in samples.items():
        libraries[name] |= medians(each)
        libraries[name]["samples"] = [sample.get("epoch_s") for sample in each]
    check_losses(libraries, request["dtype"])
    steps = -(-N_ROWS // request["batch"])
    del request["file"]
    return request | {"steps": steps} | medians(own) | {"libraries": libraries}


def check_losses(libraries, dtype):
    """Note how far each library's losses are from skgrad's, and whether too far."""
    expected = libraries["skgrad"].get("losses", [])
    for name, library in libraries.items():
        if "losses" in library and expected:
            limits = OWN_ORDER if name == "scikit-learn" else TOLERANCES[dtype]
            ends = [(library["losses"][i], expected[i]) for i in (0, -1)]
            off = [abs(theirs / ours - 1) for theirs, ours in ends]
            library["loss_off"] = off
            library["same_loss"] = all(map(operator.le, off, limits))


def show(row):
    times = [f"{k} {v.get('epoch_s', np.nan):.4f}" for k, v in row["libraries"].items()]
    print(row["hidden"], row["batch"], row["dtype"], "|", ", ".join(times), flush=True)


# --- from process start ---------------------------------------------------------------


def started(name, request, cores, folder, **more):
    """Return what one fit took in a process of its own."""
    command = [sys.executable, str(HERE / "peers.py"), "start", name]
    request = request | more | {"launched": time.time()}
    done = subprocess.run(
        [*command, json.dumps(request)],
        stdout=subprocess.PIPE,
        env=environment(cores, folder),
        text=True,
        check=False,
    )
    if done.returncode:
        return {"missing": f"its process ended with status {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


def start(options, folder):
    """Measure whole fits from process start, and skgrad's first fits by depth."""
    request = request_for((100,), 256, "float32", folder) | {"epochs": EPOCHS}
    rows = []
    for where, cores in (("one core", options.core), ("all cores", options.cores)):
        for name, samples in whole_fits(request, cores, options).items():
            rows.append({"library": name, "cores": where} | medians(samples))
            wall = rows[-1].get("wall_s", np.nan)
            print(f"start, {where}: {name} {wall:.2f} s", flush=True)
    return {"rows": rows, "first": first_fits(options, folder)}


def whole_fits(request, cores, options):
    """Return the samples of each library; compiled caches are empty unless said."""
    samples = {}
    with tempfile.TemporaryDirectory() as warm:
        for name in OURS:
            started(name, request, cores, warm)
        for turn in range(1 if options.quick else 3):
            for name in STARTED:
                if name == "torch.compile" and (turn or cores is options.core):
                    continue  # once is long enough, on all cores
                if name == "PyTorch, fused Adam":
                    continue  # starts as PyTorch does
                with tempfile.TemporaryDirectory() as cold:
                    label = f"{name}, cold cache" if name in OURS else name
                    sample = started(name, request, cores, cold)
                    samples.setdefault(label, []).append(sample)
                if name in OURS:
                    sample = started(name, request, cores, warm)
                    samples.setdefault(f"{name}, warm cache", []).append(sample)
    return samples


def first_fits(options, folder):
    """Return what the first fit costs, cold and warm, by depth and dtype.

    Kernels depend on nothing else: not on a width, a batch size or a rate.
    """
    rows = []
    tasks = [((64,), 256, "float32"), ((256, 256), 1024, "float32")]
    for hidden, batch, dtype in [*tasks, ((64,), 256, "float64")][: options.n_first]:
        request = request_for(hidden, batch, dtype, folder) | {"epochs": 10}
        samples = {"cold": [], "warm": []}
        for _ in range(options.n_first):
            with tempfile.TemporaryDirectory() as cache:
                for into in samples.values():
                    answer = started("skgrad", request, options.core, cache, again=True)
                    answer["beyond_sklearn_s"] = (
                        answer["import_s"] - answer["sklearn_s"] + answer["fit_s"]
                    )
                    into.append(answer)
        rows.append(
            {"hidden": hidden, "batch": batch, "dtype": dtype}
            | {state: medians(each) for state, each in samples.items()}
        )
    return rows


# --- the run --------------------------------------------------------------------------

SECTIONS = {"mlp": mlp, "start": start, "linear": linear, "small": small}


def cpu_model():
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor()


def about(options):
    versions = {"Python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    versions["skgrad"] = skgrad.__version__
    return {
        "versions": versions,
        "cpu": cpu_model(),
        "n_cores": len(options.cores),
        "rounds": options.rounds,
        "quick": options.quick,
    }


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=SECTIONS)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    options.rounds, options.n_first = (3, 1) if options.quick else (5, 3)
    if options.output is None:
        quick = Path(tempfile.gettempdir()) / "bench_fit_quick"
        options.output = quick if options.quick else HERE / "results"
    options.output.mkdir(parents=True, exist_ok=True)
    return options


def alone_on_a_core(options):
    """Keep this process and its children on one core, with one thread in each pool."""
    pin = hasattr(os, "sched_setaffinity")
    if os.environ.get("OMP_NUM_THREADS") != "1":  # read by BLAS when it is loaded
        os.execve(
            sys.executable,
            [sys.executable, *sys.argv],
            os.environ | {"OMP_NUM_THREADS": "1"},
        )
    options.cores = os.sched_getaffinity(0) if pin else range(os.cpu_count())
    options.core = {max(options.cores)}
    if pin:
        os.sched_setaffinity(0, options.core)


def main():
    options = parsed()
    alone_on_a_core(options)
    # As pip leaves what it installs. Where PYTHONDONTWRITEBYTECODE is set, every start
    # of a checkout compiles 160 modules anew, which took 0.3 s of skgrad's alone.
    compileall.compile_dir(HERE.parent / "skgrad", quiet=1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    file = options.output / "bench_fit.json"
    results = json.loads(file.read_text()) if options.only and file.exists() else {}
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for name in [options.only] if options.only else SECTIONS:
            found = SECTIONS[name](options, folder)
            results[name] = {"about": about(options)} | found
            file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"Measured in {time.perf_counter() - begin:.0f} s.\n")
    fit_tables.write(results, options.output)
    wrong = fit_tables.disagreements(results)
    if wrong:
        sys.exit(
            "The losses disagree, so the times compare nothing: " + "; ".join(wrong)
        )


if __name__ == "__main__":
    main()
