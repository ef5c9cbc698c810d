"""Linear models and small fits, skgrad beside scikit-learn: sections of bench_fit.py.

Everything runs in the caller's process: one core, one thread.
"""

import functools

import numpy as np
from fit_problems import data, interleaved
from peers import SEED
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPRegressor as SklearnMLPRegressor

from skgrad import GradientLinearClassifier, GradientLinearRegressor, MLPRegressor

ALPHA, GRADIENT_NORM = 1e-4, 1e-6
TOLERANCES = [10.0**-k for k in range(2, 13)]


def gradient_norm(X, residual, coef, alpha=0.0):
    """Return the max-norm of the mean gradient, coefficients and intercept."""
    by_coef = X.T @ residual / len(X) + alpha * coef
    return float(max(abs(by_coef).max(), abs(residual.mean())))


def least_squares(X, y, rounds):
    with_one = np.column_stack([X, np.ones(len(X))])
    models = {
        "skgrad GradientLinearRegressor": GradientLinearRegressor(),
        "scikit-learn LinearRegression": LinearRegression(),
        "scikit-learn Ridge(alpha=0, cholesky)": Ridge(alpha=0, solver="cholesky"),
    }
    jobs = {name: functools.partial(m.fit, X, y) for name, m in models.items()}
    lstsq = functools.partial(np.linalg.lstsq, with_one, y, rcond=None)
    times = interleaved(jobs | {"NumPy lstsq, column of ones given": lstsq}, rounds)
    solution = lstsq()[0]
    found = {name: (m.coef_.ravel(), m.predict(X)) for name, m in models.items()}
    found["NumPy lstsq, column of ones given"] = (solution[:-1], with_one @ solution)
    rows = []
    for name, (coef, prediction) in found.items():
        norm = gradient_norm(X, prediction - y, coef)
        rows.append({"model": name, "fit_s": times[name], "gradient_norm": norm})
    rows[0]["executor"] = models[rows[0]["model"]].fit_report_["executor"]
    return {"rows": rows, "control_s": times["control"]}


def logistic_makers(n_samples):
    """Return name -> function of tol; liblinear penalises the intercept, so is out."""
    shared = {"C": 1 / (ALPHA * n_samples), "max_iter": 1000, "random_state": SEED}

    def peer(solver, tol):
        return LogisticRegression(**shared, solver=solver, tol=tol)

    def ours(tol):
        settings = {"alpha": ALPHA, "standardize": False, "max_iter": 1000}
        return GradientLinearClassifier(**settings, tol=tol)

    solvers = ["lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"]
    makers = {f"scikit-learn {s}": functools.partial(peer, s) for s in solvers}
    return {"skgrad GradientLinearClassifier": ours} | makers


def loosest(maker, X, y):
    """Return the fitted model of the loosest tolerance that reaches the norm."""
    for tol in TOLERANCES:
        model = maker(tol=tol).fit(X, y)
        residual = model.predict_proba(X)[:, 1] - y
        norm = gradient_norm(X, residual, model.coef_.ravel(), ALPHA)
        if norm <= GRADIENT_NORM:
            break
    return model, {
        "tol": tol,
        "gradient_norm": norm,
        "n_iter": int(np.max(model.n_iter_)),
    }


def logistic(X, y, rounds):
    rows, jobs, labels = [], {}, (y > 0).astype(int)
    for name, maker in logistic_makers(len(X)).items():
        model, row = loosest(maker, X, labels)
        report = getattr(model, "fit_report_", {})
        rows.append({"model": name, "executor": report.get("executor", "")} | row)
        jobs[name] = functools.partial(model.fit, X, labels)
    times = interleaved(jobs, rounds)
    for row in rows:
        row["fit_s"] = times[row["model"]]
    return {"rows": rows, "control_s": times["control"], "target": GRADIENT_NORM}


def linear(options, folder):
    X, y = data(10_000 if options.quick else 100_000, 50, "float64")
    found = {
        "n_rows": len(X),
        "least_squares": least_squares(X, y, options.rounds),
        "logistic": logistic(X, y, options.rounds),
    }
    for row in found["least_squares"]["rows"] + found["logistic"]["rows"]:
        print(f"linear: {row['model']} {row['fit_s']:.4f} s", flush=True)
    return found


# --- a small fit ----------------------------------------------------------------------


def small(options, folder):
    """Measure 500 rows, defaults of both but for the stop, so that epochs are equal."""
    X, y = data(500, 10, "float64")
    rows = []
    for epochs in (20, 200):
        ours = MLPRegressor(max_iter=epochs, tol=None, random_state=SEED)
        stay = {"tol": 0, "n_iter_no_change": epochs + 1}
        theirs = SklearnMLPRegressor(max_iter=epochs, random_state=SEED, **stay)
        models = {"skgrad": ours, "scikit-learn": theirs}
        jobs = {name: functools.partial(m.fit, X, y) for name, m in models.items()}
        row = {"epochs": epochs} | interleaved(jobs, options.rounds)
        row |= {"executor": ours.fit_report_["executor"]}
        row |= {"n_iter": [int(m.n_iter_) for m in models.values()]}
        row |= {"R2": [float(m.score(X, y)) for m in models.values()]}
        rows.append(row)
        print("small:", row, flush=True)
    return {"n_rows": len(X), "n_features": X.shape[1], "rows": rows}
