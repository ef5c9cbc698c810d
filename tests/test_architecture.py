"""The layers, the public names and the lazy import of DESIGN hold."""

import importlib
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import skgrad

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "skgrad"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LAYERS, SKLEARN_STAYS, _, BACKENDS_STAY, _ = PROJECT["tool"]["importlinter"][
    "contracts"
]

HEAVY = {"sklearn", "llvmlite", "numba", "cupy", "pandas", "matplotlib", "torch"}
EAGER_BACKWARD = """
import skgrad
x = skgrad.tensor([1.0, 2.0], requires_grad=True)
(skgrad.exp(x) * x).sum().backward()
assert x.grad.shape == (2,)
"""


def run_python(code):
    """Run code in a fresh interpreter, in the root of the clone."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def top_level():
    """Return the names of the package's top-level modules."""
    return {module.name for module in pkgutil.iter_modules([str(PACKAGE)])}


def modules_with_all():
    """Return the names of the modules that state what is public, without GPU ones."""
    names = ["skgrad"]
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        stated = re.search(r"^__all__\b", path.read_text("utf-8"), re.MULTILINE)
        if stated and "cuda" not in parts:
            names.append(".".join(parts).removesuffix(".__init__"))
    return sorted(set(names))


def sorted_as_ruff_does(names):
    """Return the names with constants first, then classes, then the rest (RUF022)."""

    def key(name):
        constant = len(name) > 1 and name.isupper()
        return (0 if constant else 1 if name[:1].isupper() else 2, name)

    return sorted(names, key=key)


def test_import_contracts_hold():
    done = run_python(
        "from importlinter.cli import lint_imports\n"
        "raise SystemExit(lint_imports(no_cache=True))"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_top_level_module_has_a_layer():
    listed = re.findall(r"\w+", " ".join(LAYERS["layers"]))
    assert len(listed) == len(set(listed))
    assert top_level() <= set(listed)
    assert LAYERS["exhaustive"]


@pytest.mark.parametrize(
    ("contract", "free"),
    [
        (SKLEARN_STAYS, {"estimators", "plotting"}),
        (BACKENDS_STAY, {"backend"}),
    ],
    ids=lambda value: value.get("name") if isinstance(value, dict) else None,
)
def test_no_module_is_missing_from_a_contract(contract, free):
    assert top_level() - free <= {
        name.split(".")[1] for name in contract["source_modules"]
    }


def test_only_the_compiled_backends_are_free_to_import_compilers():
    backends = {
        f"skgrad.backend.{module.name}"
        for module in pkgutil.iter_modules([str(PACKAGE / "backend")])
    }
    compiled = {"skgrad.backend.cpu", "skgrad.backend.cuda"}
    assert backends - compiled <= set(BACKENDS_STAY["source_modules"])


def test_private_names_of_sklearn_are_imported_in_one_file():
    private = re.compile(
        r"sklearn\.[\w.]*\b_\w|from sklearn[\w.]* import _|_fit_context"
    )
    files = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if private.search("\n".join(import_lines(path)))
    }
    assert files <= {"estimators/sklearn_private.py"}


def import_lines(path):
    """Return the import statements of a file, one string each."""
    text = path.read_text("utf-8")
    statement = r"^\s*(?:import .*|from [\w.]+ import (?:\([^)]*\)|.*))"
    return [" ".join(found.split()) for found in re.findall(statement, text, re.M)]


@pytest.mark.parametrize("code", ["import skgrad", EAGER_BACKWARD])
def test_import_is_lazy(code):
    done = run_python(f"{code}\nimport json, sys\nprint(json.dumps(list(sys.modules)))")
    assert done.returncode == 0, done.stderr
    assert HEAVY.isdisjoint(json.loads(done.stdout))


STOCHASTIC_FIT = """
import numpy as np
from skgrad import losses, nn, optim, train
X = np.arange(12.0).reshape(6, 2)
layers = nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)
train.fit_stochastic(
    train.Objective(nn.Sequential(*layers), losses.SquaredError(), None),
    optim.Adam(),
    optim.Constant(),
    train.Data(X, X[:, 0], np.ones(6)),
    train.Frame.identity(2, "float64"),
    train.Settings(batch_size=2, max_iter=2, tol=None),
)
"""


def test_a_fit_imports_only_what_it_uses():
    """Each of these takes as long to import as a whole fit on thousands of rows."""
    code = f"{STOCHASTIC_FIT}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    unused = {"sklearn", "pandas", "numba", "cupy"}
    unused |= {f"scipy.{name}" for name in ("optimize", "special", "linalg", "sparse")}
    assert unused.isdisjoint(json.loads(done.stdout))


def test_an_estimator_does_not_import_the_others():
    code = "from skgrad import MLPRegressor\nimport json, sys\n"
    done = run_python(f"{code}print(json.dumps(list(sys.modules)))")
    assert done.returncode == 0, done.stderr
    modules = set(json.loads(done.stdout))
    assert "skgrad.estimators.network" in modules
    others = {f"skgrad.estimators.{name}" for name in ("additive", "ranking", "linear")}
    assert modules.isdisjoint({"skgrad.solvers", *others})


@pytest.mark.parametrize("name", modules_with_all())
def test_all_is_a_sorted_list_of_existing_names(name):
    module = importlib.import_module(name)
    assert isinstance(module.__all__, list)
    assert all(isinstance(public, str) for public in module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
    assert module.__all__ in (
        sorted(module.__all__),
        sorted_as_ruff_does(module.__all__),
    )
    assert [public for public in module.__all__ if not hasattr(module, public)] == []


def test_every_package_states_what_is_public():
    packages = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for path in PACKAGE.rglob("__init__.py")
        if "cuda" not in path.parts
    }
    assert packages <= set(modules_with_all())


def test_every_top_level_module_is_public():
    assert top_level() <= set(skgrad.__all__)


def test_version_is_that_of_the_distribution():
    assert skgrad.__version__ == PROJECT["project"]["version"]


def test_runtime_needs_only_four_packages():
    needed = {
        re.match(r"[\w-]+", requirement)[0]
        for requirement in PROJECT["project"]["dependencies"]
    }
    assert needed == {"numpy", "scipy", "scikit-learn", "llvmlite", "threadpoolctl"}
