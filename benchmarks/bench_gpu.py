"""Training steps on a GPU beside PyTorch, products beside cuBLAS, a fit of many rows.

    python benchmarks/bench_gpu.py

Needs CuPy and PyTorch with CUDA; scikit-learn is not used. Everything is float32 (no
TF32 on either side) but the linear model, which is float64.

- Steps: two hidden layers of one width, squared error, Adam. Data and permutation are
  on the device for PyTorch; a step of skgrad is that of a longer fit less a shorter
  one, its shuffle and what goes to the device and back included. PyTorch eager with
  fused Adam, and torch.compile(mode="reduce-overhead") of the whole step, warm. skgrad
  on one core of the CPU stands beside: where the two cross, device="auto" changes.
- Products: a step at batch 16,384 and width 2,048 over its matrix products alone.
- Linear: one evaluation of loss and gradient over 10,000,000 x 50, against a copy on
  the device that moves as many bytes.
- Trees: XGBoost and LightGBM on the device beside a network, where they are installed.

Medians of interleaved rounds. Writes results/bench_gpu.md, .json and .png, with the
name of the device.
"""

import argparse
import importlib
import importlib.util
import json
import os
import platform
import statistics
import time
import warnings
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

import skgrad
from skgrad import losses, nn, optim, train
from skgrad.train.evaluation import Evaluation

HERE = Path(__file__).parent
N_FEATURES, RATE, ROUNDS = 20, 1e-3, 5
WIDTHS = (64, 256, 1024, 2048, 4096)
BATCHES = (64, 256, 1024, 4096, 16_384, 65_536)
# Compiling takes some 20 s a shape: the shapes the comparison is asked for.
COMPILED = {(256, 64), (256, 256), (256, 1024), (1024, 1024)}
LARGEST = 16_384, 2048  # batch and width of the products
CPU_SECONDS = 2.0  # of one epoch on a core of the CPU; longer ones are left out
TITLES = {
    "skgrad": "skgrad",
    "cpu": "skgrad, one core",
    "eager": "PyTorch",
    "compiled": "torch.compile",
}


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", help="cpu: a rehearsal")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    parser.add_argument("--seconds", type=float, default=420, help="of all sections")
    parser.add_argument("--small", action="store_true", help="sizes for a rehearsal")
    parser.add_argument("--no-compile", action="store_true")
    return parser.parse_args()


# ----------------------------------------------------------------------- the networks


def make_data(batch, steps):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((batch * steps, N_FEATURES), dtype=np.float32)
    return X, np.sin(X[:, 0]).astype(np.float32)


def layers(m, width):
    sizes = (N_FEATURES, width, width, 1)
    made = []
    for i in range(3):
        made += [m.Linear(sizes[i], sizes[i + 1]), m.ReLU()]
    return m.Sequential(*made[:-1])


def fit(device, X, y, batch, width, epochs):
    with skgrad.random_seed(0), nn.default_dtype("float32"):
        module = layers(nn, width)
    objective = train.Objective(module, losses.SquaredError(), None, device=device)
    data = train.Data(X, y, np.ones(len(X), np.float32))
    settings = train.Settings(
        learning_rate=RATE, batch_size=batch, max_iter=epochs, tol=None, seed=0
    )
    frame = train.Frame.identity(N_FEATURES, "float32")
    parts = objective, optim.Adam(), optim.Constant(), data, frame, settings
    began = time.perf_counter()
    made = train.fit_stochastic(*parts)
    return time.perf_counter() - began, made.epochs[-1].objective


class Torch:
    """Epochs of the same network, data already on the device."""

    def __init__(self, device, X, y, batch, width, compiled):
        torch.manual_seed(0)
        self.model = layers(torch.nn, width).to(device)
        self.X, self.y = (torch.as_tensor(a, device=device) for a in (X, y))
        self.batch, self.device = batch, device
        cuda = device == "cuda"
        more = {"fused": True, "capturable": True} if cuda else {}
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE, **more)
        self.step = self.one
        if compiled:
            self.step = torch.compile(self.one, mode="reduce-overhead")

    def one(self, rows):
        self.optimizer.zero_grad(set_to_none=True)
        predicted = self.model(self.X[rows])[:, 0]
        loss = 0.5 * ((predicted - self.y[rows]) ** 2).mean()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def epoch(self):
        order = torch.randperm(len(self.X), device=self.device)
        began = time.perf_counter()
        total = torch.zeros((), device=self.device)
        for rows in order.split(self.batch):
            total += self.step(rows)
        total.item()  # waits
        return time.perf_counter() - began


def seconds_per_step(device, batch, width, steps, compiled, rounds):
    """Return medians by library."""
    X, y = make_data(batch, steps)
    shapes = fit, device, X, y, batch, width
    runs = {"skgrad": partial(difference, *shapes)}
    operations = 6 * batch * width * (width + N_FEATURES)
    if operations * steps < CPU_SECONDS * 5e10:
        runs["cpu"] = partial(difference, fit, "cpu", *shapes[2:])
    runs["eager"] = Torch(device, X, y, batch, width, False).epoch
    if compiled:
        runs["compiled"] = Torch(device, X, y, batch, width, True).epoch
    for run in runs.values():
        for _ in range(3 if run is runs.get("compiled") else 1):
            run()
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(run() / steps)
    return {name: statistics.median(ts) for name, ts in times.items()}


def difference(fit, device, X, y, batch, width):
    """Return the seconds of an epoch: of a longer fit less one of half its length."""
    work = 6 * len(X) * width * (width + N_FEATURES)
    epochs = min(40, max(2, int(2e9 / work)))
    shape = device, X, y, batch, width
    long, short = (fit(*shape, n)[0] for n in (2 * epochs, epochs))
    return (long - short) / epochs


def networks(options, deadline):
    small = options.small
    rows = []
    for width in WIDTHS[: 2 if small else None]:
        for batch in BATCHES[: 2 if small else None]:
            if width >= 2048 and batch < 1024:
                continue
            if time.monotonic() > deadline:
                return rows
            steps = max(4, min(50, 2**18 // batch))
            compiled = (width, batch) in COMPILED and not options.no_compile
            shape = options.device, batch, width, steps, compiled
            found = seconds_per_step(*shape, 2 if small else ROUNDS)
            rows.append({"width": width, "batch": batch, **found})
            print(rows[-1], flush=True)
    return rows


# ------------------------------------------------------------------------ the products


def synchronized(device):
    if device == "cuda":
        torch.cuda.synchronize()


def product_seconds(device, batch, width, rounds):
    """Return the seconds of the matrix products of a step alone."""
    sizes = (N_FEATURES, width, width, 1)

    def of(rows, columns):
        return torch.randn(rows, columns, device=device)

    products = []
    for i in range(3):
        x, w, g = (
            of(batch, sizes[i]),
            of(sizes[i], sizes[i + 1]),
            of(batch, sizes[i + 1]),
        )
        products += [(x, w), (x.T, g)]
        if i:
            products.append((g, w.T))
    outs = [a @ b for a, b in products]
    times = []
    for _ in range(rounds):
        synchronized(device)
        began = time.perf_counter()
        for _ in range(5):
            for (a, b), out in zip(products, outs, strict=True):
                torch.mm(a, b, out=out)
        synchronized(device)
        times.append((time.perf_counter() - began) / 5)
    flops = sum(2 * a.shape[0] * a.shape[1] * b.shape[1] for a, b in products)
    return statistics.median(times), flops


def products(options):
    batch, width = (1024, 128) if options.small else LARGEST
    rounds = 2 if options.small else ROUNDS
    alone, flops = product_seconds(options.device, batch, width, rounds)
    X, y = make_data(batch, 20)
    step = statistics.median(
        difference(fit, options.device, X, y, batch, width) / 20 for _ in range(rounds)
    )
    return {
        "batch": batch,
        "width": width,
        "products": alone,
        "step": step,
        "tflops": flops / alone / 1e12,
        "share": alone / step,
    }


# -------------------------------------------------------------------------- many rows


def copy_seconds(device, n_bytes, rounds):
    """Return the seconds of a copy on the device that reads n_bytes / 2."""
    a = torch.empty(n_bytes // 2, dtype=torch.uint8, device=device)
    b = torch.empty_like(a)
    times = []
    for _ in range(rounds):
        synchronized(device)
        began = time.perf_counter()
        b.copy_(a)
        synchronized(device)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def many_rows(options):
    n, p = (20_000, 50) if options.small else (10_000_000, 50)
    rounds = 2 if options.small else 7
    rng = np.random.default_rng(0)
    X = rng.random((n, p))
    y = X @ rng.standard_normal(p)
    objective = train.Objective(
        nn.Linear(p, 1, dtype="float64"),
        losses.SquaredError(),
        None,
        device=options.device,
    )
    data = train.Data(X, y, np.ones(n))
    evaluation = Evaluation(objective, data, train.Frame.identity(p, "float64"), 100)
    began = time.perf_counter()
    evaluation(np.zeros(p + 1))
    first = time.perf_counter() - began
    times = []
    for i in range(rounds):
        theta = np.full(p + 1, 0.01 * (i + 1))
        began = time.perf_counter()
        evaluation(theta)
        times.append(time.perf_counter() - began)
    # X is read twice, for predictions and for the gradient, y and weights once.
    moved = 2 * X.nbytes + 2 * y.nbytes
    copied = copy_seconds(options.device, moved, rounds)
    pass_ = statistics.median(times)
    return {
        "rows": n,
        "columns": p,
        "first": first,
        "pass": pass_,
        "copy": copied,
        "gb_per_s": moved / pass_ / 1e9,
        "share": copied / pass_,
    }


# ------------------------------------------------------------------------------ trees


def boosted(device, X, y):
    """Return functions that fit and predict, of what is installed."""
    found = {}
    if importlib.util.find_spec("xgboost"):
        xgboost = importlib.import_module("xgboost")
        found["XGBoost"] = xgboost.XGBRegressor(device=device, n_estimators=200)
    if importlib.util.find_spec("lightgbm"):
        lightgbm = importlib.import_module("lightgbm")
        where = {"cuda": "cuda", "cpu": "cpu"}[device]
        found["LightGBM"] = lightgbm.LGBMRegressor(
            device_type=where, n_estimators=200, verbose=-1
        )
    return {name: partial(model.fit, X, y) for name, model in found.items()}


def trees(options):
    """Return seconds of fits of a smooth function, and R2 on rows left out."""
    n = 20_000 if options.small else 1_000_000
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, N_FEATURES), dtype=np.float32)
    y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.standard_normal(n)
    y = y.astype(np.float32)
    train_rows, test_rows = slice(0, -n // 10), slice(-n // 10, None)
    rows = []
    for name, run in boosted(options.device, X[train_rows], y[train_rows]).items():
        began = time.perf_counter()
        try:
            model = run()
        except Exception as error:  # noqa: BLE001 - built without a GPU
            print(name, error)
            continue
        seconds = time.perf_counter() - began
        residuals = y[test_rows] - model.predict(X[test_rows])
        rows.append(
            {"name": name, "seconds": seconds, "r2": r2(residuals, y[test_rows])}
        )
    began = time.perf_counter()
    with skgrad.random_seed(0), nn.default_dtype("float32"):
        module = layers(nn, 256)
    where = options.device
    objective = train.Objective(module, losses.SquaredError(), None, device=where)
    data = train.Data(X[train_rows], y[train_rows], np.ones(n - n // 10, np.float32))
    settings = train.Settings(
        learning_rate=RATE, batch_size=4096, max_iter=10, tol=None
    )
    frame = train.Frame.identity(N_FEATURES, "float32")
    made = train.fit_stochastic(
        objective, optim.Adam(), optim.Constant(), data, frame, settings
    )
    seconds = time.perf_counter() - began
    objective.store(made.params, made.state.state["buffers"])
    predicted = train.predictor(module.eval(), where)(X[test_rows])[:, 0]
    score = r2(y[test_rows] - predicted, y[test_rows])
    return [*rows, {"name": "skgrad (256, 256)", "seconds": seconds, "r2": score}]


def r2(residuals, y):
    return float(1 - np.mean(residuals**2) / np.var(y))


# ------------------------------------------------------------------------- what is told


def table(rows):
    names = [n for n in TITLES if any(n in row for row in rows)]
    head = ["width", "batch", *(TITLES[n] for n in names)]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for row in rows:
        cells = [f"{1e6 * row[n]:.3g}" if n in row else "" for n in names]
        lines.append(" | ".join([str(row["width"]), str(row["batch"]), *cells]))
    return "\n".join(f"| {line} |" for line in lines)


def report(results):
    p, m = results["products"], results["many_rows"]
    trees = "\n".join(
        f"| {r['name']} | {r['seconds']:.3g} | {r['r2']:.4f} |"
        for r in results["trees"]
    )
    return f"""# On a GPU

{results["device"]}. {results["versions"]}. `python benchmarks/bench_gpu.py`.

## Steps

Microseconds per training step, float32: 20 inputs, two hidden layers of one width,
Adam.

{table(results["networks"])}

![Microseconds per step](bench_gpu.png)

## Products

Batch {p["batch"]}, width {p["width"]}: a step takes {1e3 * p["step"]:.3g} ms, its
matrix products alone {1e3 * p["products"]:.3g} ms ({p["tflops"]:.3g} TFLOP/s), which
is {p["share"]:.0%}.

## Many rows

{m["rows"]} x {m["columns"]}, float64, loss and gradient of squared error:
{1e3 * m["pass"]:.3g} ms, {m["gb_per_s"]:.3g} GB/s, {m["share"]:.0%} of the rate of a
copy on the device. The first, with transfer and compilation: {m["first"]:.3g} s.

## Trees

A smooth function of three of 20 inputs; whole fits, R2 on a tenth left out.

| | seconds | R2 |
| --- | --- | --- |
{trees}
"""


def figure(rows, path):
    try:
        import matplotlib.pyplot as plt  # noqa: PLC0415 - may be missing there
    except ImportError:
        print("no figure: matplotlib is not installed")
        return
    widths = sorted({row["width"] for row in rows})
    fig, axes = plt.subplots(1, len(widths), figsize=(3 * len(widths), 3), sharey=True)
    for ax, width in zip(np.atleast_1d(axes), widths, strict=True):
        for name, title in TITLES.items():
            at = [r for r in rows if r["width"] == width and name in r]
            if at:
                ax.loglog(
                    [r["batch"] for r in at],
                    [1e6 * r[name] for r in at],
                    "o-",
                    label=title,
                )
        ax.set_title(f"width {width}")
        ax.set_xlabel("batch")
    np.atleast_1d(axes)[0].set_ylabel("µs per step")
    np.atleast_1d(axes)[0].legend(fontsize=7)
    fig.tight_layout()
    fig.savefig(path, dpi=120)


def name_of(device):
    return torch.cuda.get_device_name() if device == "cuda" else platform.processor()


def main():
    options = parsed()
    warnings.simplefilter("ignore")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_num_threads(1)
    deadline = time.monotonic() + options.seconds
    results = {
        "device": name_of(options.device),
        "versions": f"skgrad {skgrad.__version__}, torch {torch.__version__}",
        "products": products(options),
        "many_rows": many_rows(options),
        "trees": trees(options),
    }
    print(results, flush=True)
    results["networks"] = networks(options, deadline)
    options.output.mkdir(exist_ok=True, parents=True)
    (options.output / "bench_gpu.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.output / "bench_gpu.md").write_text(report(results), encoding="utf-8")
    figure(results["networks"], options.output / "bench_gpu.png")


if __name__ == "__main__":
    main()
