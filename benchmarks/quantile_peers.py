"""The libraries that bench_quantile.py compares, each behind ``load`` and ``sample``.

    python benchmarks/quantile_peers.py ROWS FILE    peak memory of skgrad's fit

A sample is the seconds of one fit and its coefficients, the intercept first, a row for
each level. What a library needs of the data beyond X and y, a column of ones or R's own
copy, is made by ``load``, outside of the time.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
# statsmodels' p_tol whose objective is 3e-9 above the smallest at 10,000 x 50 (9e-9 by
# its default, 1e-6). Below it nothing more is gained: 1e-8 takes four times as long and
# reaches 2e-9.
TIGHT = 1e-7


def data(n_samples, n_features):
    """Return a Gaussian design, and targets with noise of Student's t, 3 degrees."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, n_features))
    y = 1.0 + X @ rng.normal(size=n_features) + rng.standard_t(3, size=n_samples)
    return X, y


def objective(X, y, level, coef):
    """Return the mean pinball loss of coefficients, the intercept first."""
    residual = y - X @ coef[1:] - coef[0]
    return float(np.maximum(level * residual, (level - 1) * residual).mean())


class Peer:
    """A library of this process; subclasses give fit and coefficients."""

    def load(self, X, y):
        self.X, self.y = X, y

    def sample(self, levels):
        start = time.perf_counter()
        found = self.fit(levels)
        took = time.perf_counter() - start
        return took, np.vstack([self.coefficients(one) for one in found])


class Skgrad(Peer):
    """skgrad, all levels in one fit."""

    def __init__(self):
        from skgrad import QuantileRegressor  # noqa: PLC0415

        self.kind = QuantileRegressor

    def fit(self, levels):
        quantile = levels[0] if len(levels) == 1 else levels
        self.models = [self.kind(quantile=quantile).fit(self.X, self.y)]
        return self.models

    def duality_gap(self):
        """Return the largest of the last sample."""
        return max(float(np.max(model.duality_gap_)) for model in self.models)

    def coefficients(self, model):
        return np.column_stack([np.ravel(model.intercept_), np.atleast_2d(model.coef_)])


class SkgradSeparately(Skgrad):
    """skgrad, a fit for each level."""

    def fit(self, levels):
        kinds = [self.kind(quantile=level) for level in levels]
        self.models = [model.fit(self.X, self.y) for model in kinds]
        return self.models


class ScikitLearn(Peer):
    """scikit-learn, which solves the linear program by HiGHS."""

    def __init__(self):
        from sklearn.linear_model import QuantileRegressor  # noqa: PLC0415

        self.kind = QuantileRegressor

    def fit(self, levels):
        settings = {"alpha": 0, "solver": "highs"}
        kinds = [self.kind(quantile=level, **settings) for level in levels]
        return [model.fit(self.X, self.y) for model in kinds]

    def coefficients(self, model):
        return np.append(model.intercept_, model.coef_)


class Statsmodels(Peer):
    """statsmodels' reweighted least squares; its fit includes standard errors."""

    def __init__(self, p_tol=1e-6):
        from statsmodels.regression.quantile_regression import (  # noqa: PLC0415
            QuantReg,
        )
        from statsmodels.tools.sm_exceptions import (  # noqa: PLC0415
            IterationLimitWarning,
        )

        warnings.simplefilter("ignore", IterationLimitWarning)
        self.kind, self.p_tol = QuantReg, p_tol

    def load(self, X, y):
        self.X, self.y = np.column_stack([np.ones(len(X)), X]), y

    def fit(self, levels):
        model = self.kind(self.y, self.X)
        settings = {"p_tol": self.p_tol, "max_iter": 10_000}
        return [model.fit(q=level, **settings) for level in levels]

    def coefficients(self, result):
        return result.params


class R:
    """A process of R with quantreg, which keeps the data it was given last."""

    def __init__(self, preload=None):
        if shutil.which("Rscript") is None:
            raise ImportError("there is no Rscript")
        self.process = subprocess.Popen(
            ["Rscript", "--vanilla", str(HERE / "quantile_peers.R")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ({"LD_PRELOAD": preload} if preload else {}),
        )
        try:
            self.version, self.quantreg, *blas = self.answer()
        except RuntimeError as error:
            self.close()
            raise ImportError(str(error)) from None
        self.blas, self.y = " ".join(blas), None

    def answer(self):
        words = self.process.stdout.readline().split()
        if not words or words[0] == "error":
            raise RuntimeError(" ".join(words[1:]) or "R's process died")
        return words

    def ask(self, *words):
        with contextlib.suppress(BrokenPipeError):
            print(*words, file=self.process.stdin, flush=True)
        return self.answer()

    def load(self, X, y):
        if self.y is y:
            return
        with tempfile.NamedTemporaryFile(suffix=".bin") as file:
            for column in (np.ones(len(X)), *X.T, y):
                column.tofile(file)
            file.flush()
            self.ask("load", len(X), X.shape[1] + 1, file.name)
        self.y = y

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Quantreg:
    """One method of R's quantreg; all methods share a process."""

    def __init__(self, process, method):
        self.process, self.method = process, method

    def load(self, X, y):
        self.process.load(X, y)

    def sample(self, levels):
        took, *values = self.process.ask("fit", self.method, *levels)
        return float(took), np.array(values, float).reshape(len(levels), -1)


# --- memory ---------------------------------------------------------------------------


def resident(field):
    """Return megabytes of this process: VmRSS of now, or VmHWM, the peak so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no line {field}")


def memory(warm_rows, file):
    """Return what fits of 0.9 take: first one on few rows, then one on all.

    Libraries and compiled code are resident before the second. The data comes from a
    file, so making it leaves no peak.
    """
    peer, answer = Skgrad(), {}
    with np.load(file) as arrays:
        X, y = arrays["X"], arrays["y"]
    peer.load(X[:warm_rows].copy(), y[:warm_rows].copy())
    answer["first_s"], _ = peer.sample([0.9])
    answer["again_s"], _ = peer.sample([0.9])
    peer.load(X, y)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins again
    before = resident("VmRSS")
    answer["fit_s"], _ = peer.sample([0.9])
    answer["beyond_mb"] = resident("VmHWM") - before
    answer["X_mb"] = X.nbytes / 2**20
    return answer


if __name__ == "__main__":
    print(json.dumps(memory(int(sys.argv[1]), sys.argv[2])))
