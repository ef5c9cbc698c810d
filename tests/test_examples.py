"""Every example runs, and prints what its text promises."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = sorted(path.name for path in EXAMPLES.glob("*.py"))


# Runs an example with the last candidate of each of its searches alone.
ONE_CANDIDATE = """
import runpy, sys
from sklearn import model_selection

search = model_selection.GridSearchCV

def narrow(model, grid, **kwargs):
    return search(model, {k: v[-1:] for k, v in grid.items()}, **kwargs)

model_selection.GridSearchCV = narrow
runpy.run_path(sys.argv.pop(), run_name="__main__")
"""
SEARCHES = {
    "one candidate": [sys.executable, "-c", ONE_CANDIDATE],
    "all candidates": [sys.executable],
}


@pytest.fixture(
    scope="module",
    params=["one candidate", pytest.param("all candidates", marks=pytest.mark.long)],
)
def output(request):
    """Return a function that runs an example once and returns what it printed."""
    printed, python = {}, SEARCHES[request.param]
    cache = Path(os.environ["SKGRAD_CACHE_DIR"]) / "examples"

    def run(name):
        if name not in printed:
            printed[name] = subprocess.run(
                [*python, EXAMPLES / name],
                check=True,
                capture_output=True,
                text=True,
                encoding="utf-8",
                env={**os.environ, "SKGRAD_CACHE_DIR": str(cache)},
            )
        return printed[name]

    return run


@pytest.mark.parametrize("name", FILES)
def test_runs_without_a_warning(output, name):
    assert output(name).stderr == ""
    figure = (EXAMPLES / name).with_suffix(".png")
    if "savefig" in (EXAMPLES / name).read_text("utf-8"):
        assert figure.read_bytes().startswith(b"\x89PNG")


def test_gradient_descent_reaches_the_closed_form(output):
    lines = output("gradient_descent_vs_closed_form.py").stdout.splitlines()
    rows = [line.split() for line in lines if line.startswith(("intercept", "beta"))]
    assert rows == 2 * [
        ["intercept", "0.5049", "0.5049"],
        ["beta1", "1.9960", "1.9960"],
        ["beta2", "-1.0078", "-1.0078"],
    ]


def scores(text):
    """Return the first score of each row of the quickstart's tables."""
    rows = (
        line.split("±")[0].rsplit(maxsplit=1)
        for line in text.splitlines()
        if "±" in line
    )
    return {name.strip(): float(score) for name, score in rows}


def test_quickstart_table(output):
    found = scores(output("quickstart.py").stdout)
    assert found["GradientLinearRegressor"] == found["LinearRegression"]
    assert found["MLPRegressor, tuned"] > 0.4
    assert found["GradientLinearClassifier"] > 0.95
    assert found["MLPClassifier, tuned"] > 0.95


def test_custom_loss_pays(output):
    lines = output("custom_loss.py").stdout.splitlines()
    cost = {line[:26].strip(): float(line[26:]) for line in lines[1:4]}
    assert cost["linear, order cost"] < 0.9 * cost["linear, squared error"]
    assert cost["network, order cost"] < cost["linear, order cost"]


def test_custom_module_is_accurate(output):
    lines = output("custom_module.py").stdout.splitlines()
    (line,) = (line for line in lines if line.startswith("Accuracy"))
    assert float(line.split()[-1]) > 0.95


def table(text, width=26):
    """Return the numbers behind names of a fixed width."""
    rows = (line for line in text.splitlines() if line[width:].strip())
    found = {}
    for line in rows:
        try:
            found[line[:width].strip()] = float(line[width:].split()[0])
        except ValueError:
            continue
    return found


def test_convolutions_recognise_digits(output):
    found = table(output("convolution.py").stdout)
    assert found["convolutional network"] >= 0.98
    assert found["convolutional network"] > found["LogisticRegression"]


def test_embeddings_of_categories(output):
    text = output("entity_embeddings.py").stdout
    found = table(text)
    assert found["entity embeddings"] > found["ridge, indicator columns"]
    (line,) = (line for line in text.splitlines() if "is no error" in line)
    assert 100 < float(line.split()[-2]) < 20_000


def test_sequences_in_order_say_more(output):
    found = table(output("sequences.py").stdout)
    assert found["KNeighborsClassifier(1)"] == 0.9774  # as the data's authors report
    for name in ("GRU", "Transformer"):
        assert found[name] > 0.97 > 0.95 > found["LogisticRegression"]


def test_shares_are_those_of_the_quadratic_programme(output):
    lines = output("constrained.py").stdout.splitlines()
    shares = [list(map(float, line[24:].split()[:2])) for line in lines[1:6]]
    for share, exact in shares:
        assert share >= 0
        assert abs(share - exact) <= 0.001
    assert lines[6].split() == ["sum", "1.000", "1.000"]
    blend, equal = (float(line.split()[-1]) for line in lines[7:])
    assert blend < equal
    assert blend < min(float(line.split()[-1]) for line in lines[1:6])


def test_losses_of_queries_order_them_better(output):
    stones, simulated = output("ranking.py").stdout.split("\n\n")
    found = table(stones, 36)
    grades = found["boosted trees, grades"]
    assert found["linear regression, grades"] < grades < 0.7
    assert min(found["linear ranker"], found["network ranker"]) > grades + 0.2
    assert (
        abs(found["network ranker"] - found["boosted trees, grades, told carat"]) < 0.03
    )
    assert "linear ranker                       cut +, color +, clarity +" in stones
    assert "linear regression, grades           cut +, color -, clarity -" in stones
    found = table(simulated, 36)
    listwise = [score for name, score in found.items() if name.startswith("network, ")]
    assert sorted(listwise)[0] == found["network, grades"]
    assert sorted(listwise)[1] > found["network, grades"] + 0.02


def test_intervals_cover_and_are_narrower_than_linear_ones(output):
    text = output("quantile_regression.py").stdout
    assert "81.48 + 0.5602 income" in text  # Koenker and Bassett 1982
    lines = [line for line in text.splitlines() if line.endswith("$")]
    linear, network = ([float(x) for x in line[26:-1].split()] for line in lines)
    # 1800 rows: a share of 0.9 has a standard error of 0.007, the margin one as large.
    assert abs(network[0] - 0.9) < 0.03
    assert min(network[1:4]) > 0.86
    assert network[-1] < 0.9 * linear[-1]


def test_additive_models_are_between_lines_and_trees(output):
    prices, patients = output("additive_model.py").stdout.split("Diabetes")
    found = scores(prices)
    assert found["linear"] < found["linear, logarithm of carat"] < found["additive"]
    assert found["additive"] < found["boosted trees"] < found["additive"] + 0.01
    found = scores(patients)
    assert found["additive"] > max(found["linear"], found["boosted trees"])
    assert "bmi (2." in patients


def test_paths_are_those_of_scikit_learn(output):
    lasso, logistic, prices, misread = output("regularization_path.py").stdout.split(
        "\n\n"
    )[:4]
    alphas = re.findall(r"alpha +skgrad ([\d.]+) +LassoCV ([\d.]+)", lasso)
    assert len(set(alphas[0])) == 1
    assert float(lasso.splitlines()[3].split()[-1]) < 1e-3
    ours, theirs = (
        np.array(line.split()[:10], dtype=float) for line in logistic.splitlines()[-2:]
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    errors = dict(re.findall(r"^  (\S.*?) {2,}([\d.]+)%", prices, re.MULTILINE))
    assert float(errors["skgrad, gamma, signs"]) < 0.5 * float(errors["LassoCV"])
    found = table(misread)
    assert found["Huber(delta=50.0)"] < 0.7 * found["SquaredError()"]


def test_pictures_say_what_their_numbers_say(output):
    lines = output("pictures.py").stdout.splitlines()
    found = dict(line.split(": ") for line in lines)
    assert 1 < int(found["Best epoch of the network"].split()[0]) < 100
    assert float(found["Largest distance of an optimizer from the optimum"]) < 1e-8
    assert int(found["Coefficients that L1 makes zero"].split()[0]) > 0
    assert float(found["R² of the network model"]) > 0.86
    # 221 rows: the shares of right quantiles are within 0.1 in 99.7 % of samples.
    assert float(found["Largest error of a share below a quantile"]) < 0.1


@pytest.mark.parametrize(
    "line",
    [
        r"RuntimeWarning: backward\(\) adds to 2 gradient.* Call optimizer\.zero_grad",
        r"ShapeError: y_true has shape \(200,\) .* Use raw_prediction\[:, 0\]",
        r"An estimator: two predictions are the same: True",
        r"A module in training mode: False",
        r"After module\.eval\(\): True",
        r"Shuffling changes the initial weights: False",
        r"NumPy's global seed is used: False",
        r"log\(-\S+\) is nan in relative_error, pitfalls\.py:\d+: return skgrad\.log",
        r"ConvergenceWarning: The objective .* went back to its weights at the start",
        r"DivergenceError: .*the learning rate is too high \(learning_rate=100: try 10",
        r"While tracing clipped, at \S+pitfalls\.py:\d+ in clipped",
    ],
)
def test_every_pitfall_is_caught(output, line):
    assert re.search(line, output("pitfalls.py").stdout)
