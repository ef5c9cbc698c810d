"""Regularisation paths: skgrad, R's glmnet, scikit-learn and skglm.

    python benchmarks/bench_path.py [--quick] [--only KIND] [--rounds N] [--output DIR]

Lasso paths of dense inputs, 10,000 x 1,000 (neighbours correlated by a half), and of
sparse ones, 50,000 x 20,000 at 0.1 %, for squared error, two classes and counts.
skgrad's is what ``GradientElasticNetCV`` fits to all rows, without its folds. The
strengths are those of glmnet's own path: all libraries get the same. Each library stops
by its own rule and default, so the duality gap reached is computed alike for all,
relative to the loss of the constant model, and stands beside the time. One core and one
thread, medians of interleaved samples after a fit that compiles; a matrix product
outside all libraries is timed beside each round. glmnet and skgrad standardise and fit
an intercept, in the time; scikit-learn's ``lasso_path`` and skglm do neither: they get
inputs that are standardised (sparse ones as they are) and centred targets. Writes
bench_path.json, bench_path.md and bench_path.png.

R with glmnet, and skglm, are left out where they are not installed.
"""

import argparse
import contextlib
import importlib.metadata
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse
from bench_fit import about, alone_on_a_core
from fit_problems import control
from fit_tables import about_lines, number, table
from peers import seconds
from scipy.signal import lfilter
from scipy.special import expit, xlogy

from skgrad.estimators.path_fits import Grid, PathFits
from skgrad.losses import LogLoss, Poisson, SquaredError

HERE = Path(__file__).parent
SIZES = {"dense": (10_000, 1_000), "sparse": (50_000, 20_000)}
QUICK = {"dense": (500, 50), "sparse": (1_000, 300)}
DENSITY, CORRELATION = 1e-3, 0.5
LOSSES = {"gaussian": SquaredError(), "binomial": LogLoss(), "poisson": Poisson()}
# skgrad's default, and larger ones: the first whose duality gaps, the largest and the
# median of the path, are no larger than glmnet's is compared with it.
TOL = 2e-3
TOLS = (2e-2, 1.5e-2, 1e-2, 8e-3, 6e-3, 5e-3, 4e-3, 3e-3, 2e-3, 1e-3, 5e-4, 2e-4)
OURS = ("skgrad", "skgrad at that gap")
COLOURS = {
    "skgrad": "#0072B2",
    "skgrad at that gap": "#56B4E9",
    "glmnet": "#D55E00",
    "scikit-learn": "#009E73",
    "skglm": "#CC79A7",
}


# --- problems -------------------------------------------------------------------------


def inputs(kind, n, p, rng):
    if kind == "dense":
        noise = rng.normal(size=(n, p)) * np.sqrt(1 - CORRELATION**2)
        noise[:, 0] /= np.sqrt(1 - CORRELATION**2)
        return lfilter([1.0], [1.0, -CORRELATION], noise, axis=1)
    density = max(DENSITY, 5 / n)
    found = scipy.sparse.random_array(
        (n, p), density=density, rng=rng, data_sampler=rng.standard_normal
    )
    return found.tocsc()


def problem(kind, family, n, p):
    """Return inputs and targets of a tenth (a hundredth) of the columns."""
    rng = np.random.default_rng(0)
    X = inputs(kind, n, p, rng)
    k = p // (10 if kind == "dense" else 100)
    coef = np.zeros(p)
    coef[rng.choice(p, k, replace=False)] = rng.normal(size=k)
    eta = X @ coef
    eta /= eta.std()
    if family == "gaussian":
        return X, eta + rng.normal(size=n)
    if family == "binomial":
        return X, (rng.random(n) < expit(2 * eta)).astype(float)
    # Few counts of a heavy tail: glmnet gives up on sparse ones with more.
    return X, rng.poisson(np.exp(np.clip(0.5 * eta, -2, 2))).astype(float)


class Yardstick:
    """Computes duality gaps of any library's models alike."""

    def __init__(self, X, y, family):
        self.X, self.y, self.family = X, y, family
        n = len(y)
        self.mean = np.asarray(X.mean(axis=0)).ravel()
        square = np.asarray((X.power(2) if scipy.sparse.issparse(X) else X**2).mean(0))
        self.scale = np.sqrt(square.ravel() - self.mean**2)
        self.n = n
        self.null = self.value(self.link(y.mean()) * np.ones(n))
        if family == "poisson":
            self.null -= (y - xlogy(y, y)).mean()

    def link(self, mean):
        if self.family == "gaussian":
            return mean
        return np.log(mean / (1 - mean)) if self.family == "binomial" else np.log(mean)

    def value(self, eta):
        y = self.y
        if self.family == "gaussian":
            return 0.5 * ((y - eta) ** 2).mean()
        if self.family == "binomial":
            return (np.logaddexp(0, eta) - y * eta).mean()
        return (np.exp(eta) - y * eta).mean()

    def gap(self, alpha, intercept, coef, standardized=True):
        """Return the duality gap over the loss of the constant model."""
        y, scale = self.y, self.scale if standardized else np.ones(len(coef))
        eta = self.X @ coef + intercept
        mu = {"gaussian": eta, "binomial": expit(eta)}.get(self.family)
        mu = np.exp(eta) if mu is None else mu
        r = y - mu
        r -= r.mean()  # what an exact intercept leaves
        slopes = np.nanmax(np.abs(self.X.T @ r / self.n / scale))  # empty columns: nan
        primal = self.value(eta) + alpha * (scale @ np.abs(coef))
        q = y - r * min(1.0, alpha / slopes)
        if self.family == "gaussian":
            # The conjugate of half a square, for residuals that sum to zero.
            dual = 0.5 * ((y - y.mean()) ** 2 - (q - y.mean()) ** 2).mean()
        elif self.family == "binomial":
            q = np.clip(q, 0, 1)
            dual = -(xlogy(q, q) + xlogy(1 - q, 1 - q)).mean()
        else:
            q = np.maximum(q, 0)
            dual = (q - xlogy(q, q)).mean()
        return (primal - dual) / self.null


# --- libraries ------------------------------------------------------------------------


class Skgrad:
    families = tuple(LOSSES)

    def load(self, X, y, family):
        p = X.shape[1]
        free = np.full((1, p), np.inf)

        def fits():
            return PathFits(
                LOSSES[family],
                X,
                y,
                np.ones(len(y)),
                None,
                np.ones(p),
                (-free, free),
                fit_intercept=True,
                standardize=True,
            )

        self.fits = fits

    def __init__(self, tol=TOL):
        self.tol = tol

    def sample(self, alphas):
        found = []
        grid = Grid(alphas, 1.0, self.tol, 100)
        took = seconds(lambda: found.append(self.fits().path(1.0, grid)))
        return took, found[0].intercept[:, 0], found[0].coef[:, 0]

    def memory(self, alphas):
        """Return the peak of traced memory of a path, and its result's, in bytes."""
        tracemalloc.start()
        _, intercept, coef = self.sample(alphas)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak, intercept.nbytes + coef.nbytes


class Glmnet:
    families = tuple(LOSSES)

    def __init__(self, folder):
        if shutil.which("Rscript") is None:
            raise ImportError("there is no Rscript")
        self.folder, self.X = folder, None
        self.process = subprocess.Popen(
            ["Rscript", "--vanilla", str(HERE / "path_peers.R")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self.version = "R {}, glmnet {}".format(*self.answer())
        except RuntimeError as error:
            raise ImportError(str(error)) from None

    def answer(self):
        words = self.process.stdout.readline().split()
        if not words or words[0] == "error":
            raise RuntimeError(" ".join(words[1:]) or "R's process died")
        return words

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return self.answer()

    def load(self, X, y, family):
        self.family, self.p = family, X.shape[1]
        self.y = f"{self.folder}/y_{family}"
        y.tofile(self.y)
        if self.X is X:
            return
        self.X, file = X, f"{self.folder}/X"
        with Path(file).open("wb") as out:
            if scipy.sparse.issparse(X):
                for part, kind in ((X.data, "f8"), (X.indices, "i4"), (X.indptr, "i4")):
                    part.astype(kind).tofile(out)
            else:
                X.T.astype("f8").tofile(out)
        size = [*X.shape, X.nnz] if scipy.sparse.issparse(X) else X.shape
        kind = "sparse" if scipy.sparse.issparse(X) else "dense"
        self.ask(kind, *size, file)

    def sample(self, alphas=None):
        took, count, file = self.ask("fit", self.family, self.y)
        table = np.fromfile(file).reshape(int(count), self.p + 2)
        self.alphas = table[:, 0]
        return float(took), table[:, 1], table[:, 2:]


class OfLeastSquares:
    """A library without intercept and scaling: inputs are prepared for it."""

    families = ("gaussian",)

    def load(self, X, y, family):
        self.mean, self.scale, self.y = 0.0, 1.0, y - y.mean()
        self.sparse, self.y_mean = scipy.sparse.issparse(X), y.mean()
        if not self.sparse:
            self.mean, self.scale = X.mean(axis=0), X.std(axis=0)
            X = np.asfortranarray((X - self.mean) / self.scale)
        self.X = X

    def sample(self, alphas):
        found = []
        took = seconds(lambda: found.append(self.path(alphas)))
        coef = found[0] / self.scale
        return (
            took,
            self.y_mean - coef @ np.broadcast_to(self.mean, coef.shape[1]),
            coef,
        )


class ScikitLearn(OfLeastSquares):
    def path(self, alphas):
        from sklearn.linear_model import lasso_path  # noqa: PLC0415

        return lasso_path(self.X, self.y, alphas=alphas)[1].T


class Skglm(OfLeastSquares):
    def __init__(self):
        import skglm  # noqa: PLC0415

        self.kind = skglm.Lasso

    def path(self, alphas):
        return self.kind(fit_intercept=False).path(self.X, self.y, alphas)[1].T


def libraries(folder):
    peers = {"skgrad": Skgrad(), "skgrad at that gap": Skgrad()}
    for name, make in (
        ("glmnet", lambda: Glmnet(folder)),
        ("scikit-learn", ScikitLearn),
        ("skglm", Skglm),
    ):
        try:
            peers[name] = make()
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return peers


# --- the run --------------------------------------------------------------------------


def compared(kind, family, size, peers, rounds):
    X, y = problem(kind, family, *size)
    yardstick = Yardstick(X, y, family)
    peers = {k: peer for k, peer in peers.items() if family in peer.families}
    for peer in peers.values():
        peer.load(X, y, family)
    alphas = strengths(peers, X, y, family)
    match(peers, yardstick, alphas)
    found = {name: {"samples": []} for name in peers}
    for peer in peers.values():
        peer.sample(alphas)  # compiles
    controls = []
    for _ in range(rounds):
        controls.append(seconds(control()))
        for name, peer in peers.items():
            took, intercept, coef = peer.sample(alphas)
            found[name]["samples"].append(took)
            own = isinstance(peer, Skgrad | Glmnet) or kind == "dense"
            found[name]["gaps"] = spans(yardstick, alphas, intercept, coef, own)
            found[name]["tol"] = getattr(peer, "tol", None)
    for row in found.values():
        row["seconds"] = statistics.median(row["samples"])
    X_bytes = X.data.nbytes + (X.indices.nbytes if kind == "sparse" else 0)
    peak, result = peers["skgrad"].memory(alphas)
    return {
        "inputs": kind,
        "family": family,
        "n_rows": size[0],
        "n_features": size[1],
        "n_alphas": len(alphas),
        "n_nonzero": int((coef[-1] != 0).sum()),
        "control_s": statistics.median(controls),
        "memory_over_X": peak / X_bytes,
        "working_memory_over_X": (peak - result) / X_bytes,
        "libraries": found,
    }


def spans(yardstick, alphas, intercept, coef, own=True):
    """Return the duality gap of each strength."""
    models = zip(alphas, intercept, coef, strict=True)
    return [yardstick.gap(*model, own) for model in models]


def match(peers, yardstick, alphas):
    """Choose the tolerance that reaches glmnet's gaps; without glmnet the default."""
    ours = peers["skgrad at that gap"]
    ours.tol = TOL
    if "glmnet" not in peers:
        return
    _, intercept, coef = peers["glmnet"].sample()
    wanted = spans(yardstick, alphas, intercept, coef)
    for ours.tol in TOLS:
        _, intercept, coef = ours.sample(alphas)
        gaps = spans(yardstick, alphas, intercept, coef)
        near = statistics.median(gaps) <= statistics.median(wanted)
        if near and max(gaps) <= max(wanted):
            return


def strengths(peers, X, y, family):
    """Return glmnet's own strengths, or those it would have, the first excepted."""
    if "glmnet" in peers:
        peers["glmnet"].sample()
        return peers["glmnet"].alphas
    yardstick = Yardstick(X, y, family)
    r = y - y.mean()
    largest = np.nanmax(np.abs(X.T @ r / len(y) / yardstick.scale))
    return largest * np.geomspace(1, 1e-3, 75)


def kept(options):
    """Return the rows of an earlier run that are not measured anew."""
    file = options.output / "bench_path.json"
    if not (options.only and file.exists()):
        return []
    rows = json.loads(file.read_text())["rows"]
    return [row for row in rows if row["inputs"] != options.only]


def run(options):
    sizes = QUICK if options.quick else SIZES
    rows = kept(options)
    with tempfile.TemporaryDirectory() as folder:
        peers = libraries(folder)
        for kind in [options.only] if options.only else sizes:
            for family in LOSSES:
                try:
                    row = compared(kind, family, sizes[kind], peers, options.rounds)
                except (RuntimeError, ValueError) as error:
                    print(f"{kind} {family}: {error}", file=sys.stderr)
                    continue
                rows.append(row)
                times = {k: v["seconds"] for k, v in row["libraries"].items()}
                print(kind, family, row["n_alphas"], times, flush=True)
        more = {"glmnet": peers["glmnet"].version} if "glmnet" in peers else {}
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            more["skglm"] = importlib.metadata.version("skglm")
    rows.sort(key=lambda row: (list(SIZES).index(row["inputs"]),))
    section = {"about": about(options), "rows": rows}
    section["about"]["versions"] |= more
    return section


NOTE = """\
Seconds of a lasso path on one core and one thread, median of at least {rounds}
interleaved samples. All have the strengths of glmnet's path. At that gap: with the
largest tolerance whose gaps, the largest and the median, are no larger than glmnet's.
scikit-learn and skglm are timed without standardising and without an intercept, for
squared error only. Gap: the duality gap relative to the loss of the constant model,
largest and median over the strengths; skglm and scikit-learn fit the sparse inputs
without scaling, so theirs is that of another problem. Memory: the peak of what skgrad
allocates beside the inputs, over the memory of X; and without the coefficients that are
returned. Control: a product of three 500 x 500 matrices outside all libraries.
"""


def written(section, output):
    rows = section["rows"]
    names = [n for n in COLOURS if any(n in row["libraries"] for row in rows)]
    lines = [
        "# Regularisation paths",
        "",
        "Written by `python benchmarks/bench_path.py`.",
    ]
    lines += ["", *about_lines(section), NOTE.format(**section["about"])]
    head = ["inputs", "rows x columns", "loss", "strengths", "nonzero", *names]
    head += [
        "best peer over skgrad",
        "at that gap",
        "memory over X",
        "without result",
        "control, ms",
    ]
    body = []
    for row in rows:
        times = {k: v["seconds"] for k, v in row["libraries"].items()}
        best = min((t for k, t in times.items() if "skgrad" not in k), default=None)
        body.append(
            [
                row["inputs"],
                f"{row['n_rows']:,} x {row['n_features']:,}",
                row["family"],
                row["n_alphas"],
                row["n_nonzero"],
                *(number(times.get(n)) for n in names),
                *(number(best / times[k], 2) if best else "" for k in OURS),
                number(row["memory_over_X"], 2),
                number(row["working_memory_over_X"], 2),
                number(1000 * row["control_s"]),
            ]
        )
    lines += table(head, body)
    head = ["inputs", "loss", *(f"{n}: largest, median gap" for n in names)]
    body = [
        [
            row["inputs"],
            row["family"],
            *(
                f"{max(gaps):.1e}, {statistics.median(gaps):.1e}"
                if (gaps := row["libraries"].get(n, {}).get("gaps"))
                else ""
                for n in names
            ),
        ]
        for row in rows
    ]
    lines += table(head, body)
    lines += ["![Seconds per path](bench_path.png)", ""]
    (output / "bench_path.md").write_text("\n".join(lines))
    figure(rows, names, output / "bench_path.png")


def figure(rows, names, path):
    import matplotlib.pyplot as plt  # noqa: PLC0415

    fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=False, layout="constrained")
    for ax, kind in zip(axes, SIZES, strict=True):
        part = [row for row in rows if row["inputs"] == kind]
        width = 0.8 / len(names)
        for i, name in enumerate(names):
            at = [
                (
                    j + (i - (len(names) - 1) / 2) * width,
                    r["libraries"][name]["seconds"],
                )
                for j, r in enumerate(part)
                if name in r["libraries"]
            ]
            if at:
                ax.bar(*zip(*at, strict=True), width, color=COLOURS[name], label=name)
        ax.set_xticks(range(len(part)), [row["family"] for row in part])
        size = f"{part[0]['n_rows']:,} x {part[0]['n_features']:,}" if part else ""
        ax.set_title(f"{kind}, {size}", fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("seconds per path")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right", fontsize=8)
    fig.savefig(path, dpi=120)
    plt.close(fig)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small problems")
    parser.add_argument("--only", choices=SIZES, help="replace a part of the results")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=HERE / "results")
    options = parser.parse_args()
    alone_on_a_core(options)
    warnings.simplefilter("ignore")
    options.output.mkdir(parents=True, exist_ok=True)
    section = run(options)
    (options.output / "bench_path.json").write_text(json.dumps(section, indent=1))
    written(section, options.output)


if __name__ == "__main__":
    main()
