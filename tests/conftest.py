"""What holds for every test: fixed seeds, one BLAS thread, no leaked state."""

import atexit
import importlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile

# BLAS reads these once, when NumPy is loaded, so they come before that import. One
# thread: the suite's many small products are slower on two, and sums are repeatable.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ["MPLBACKEND"] = "Agg"
# Kernels are compiled anew for each run of the suite and shared by its processes.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["SKGRAD_CACHE_DIR"] = tempfile.mkdtemp(prefix="skgrad-tests-")
    atexit.register(shutil.rmtree, os.environ["SKGRAD_CACHE_DIR"], ignore_errors=True)
# Without it scikit-learn skips its check of array API inputs.
os.environ["SCIPY_ARRAY_API"] = "1"

import numpy as np
import pytest

if importlib.util.find_spec("hypothesis"):  # tests of a device do without
    import hypothesis

    hypothesis.settings.register_profile("skgrad", derandomize=True, deadline=None)
    hypothesis.settings.load_profile("skgrad")


def pytest_addoption(parser):
    parser.addoption(
        "--strict-skips",
        action="store_true",
        default=os.environ.get("CI") == "true",
        help="fail on any skip but for a missing GPU, nvcc or C++ compiler "
        "(default: CI=true)",
    )


# ---------------------------------------------------------------------- skipping


def _missing_gpu():
    """Why the tests marked ``gpu`` cannot run here, or None."""
    if importlib.util.find_spec("cupy") is None:
        return "no GPU to test on: CuPy is not installed"
    runtime = importlib.import_module("cupy").cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        return f"no GPU to test on: {error}"
    return None if count else "no GPU to test on: CUDA reports no device"


# What a test file with tests for a GPU has in its text.
FOR_GPU = re.compile(r"mark\.gpu|backend\.cuda\.devices")


def pytest_ignore_collect(collection_path, config):
    """With ``-m gpu``, leave files alone that may import what is not installed."""
    if config.option.markexpr != "gpu" or not collection_path.match("test_*.py"):
        return None
    return None if FOR_GPU.search(collection_path.read_text()) else True


def pytest_collection_modifyitems(config, items):
    marked = [item for item in items if item.get_closest_marker("gpu")]
    reason = _missing_gpu() if marked else None
    for item in marked:
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


# What a machine may lack: reasons of skips begin with these.
LACKING = ("no GPU", "no nvcc", "no C++ compiler")


def _refuse_skip(config, report):
    """Turn the report of a skip into a failure, unless the machine lacks something."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    lacking = reason.removeprefix("Skipped: ").startswith(LACKING)
    if config.getoption("--strict-skips") and not lacking:
        report.outcome = "failed"
        report.longrepr = f"A skip's reason is one of {LACKING}. Got: {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    _refuse_skip(item.config, report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector):
    report = yield
    _refuse_skip(collector.config, report)
    return report


# ---------------------------------------------------------------------- kernels

# The kernels of the suite, of whichever process, are in one directory. Those that tests
# of the cache and of single kernels compile are in directories of their own, and so are
# those of the examples, which are whole programs.
MOST_KERNELS = 210


def _n_kernels(part=""):
    directory = os.path.join(os.environ["SKGRAD_CACHE_DIR"], part)
    if not os.path.isdir(directory):
        return 0
    return sum(name.endswith(".kernel") for name in os.listdir(directory))


def pytest_terminal_summary(terminalreporter):
    counts = f"{_n_kernels()} kernels compiled, {_n_kernels('examples')} by examples"
    terminalreporter.write_line(counts)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    ordinary = "long" in session.config.getoption("markexpr")
    if ordinary and _n_kernels() > MOST_KERNELS:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


# ---------------------------------------------------------------------- isolation


def _global_state():
    """Return what no test may leave changed, by name."""
    engine = sys.modules.get("skgrad.core.interpreter")
    _, key, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    return {
        "NumPy's global random state": (key.tobytes(), position, has_gauss, cached),
        "NumPy's floating-point error handling": tuple(np.geterr().items()),
        "skgrad's current interpreter": engine and id(engine.current()),
        "skgrad's recording of gradients": engine and engine.is_recording(),
    }


@pytest.fixture(autouse=True)
def no_leaked_state():
    """Fail a test that leaves global state other than it found it."""
    before = _global_state()
    yield
    after = _global_state()
    leaked = [
        name
        for name, value in before.items()
        if value is not None and value != after[name]
    ]
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    if leaked:
        pytest.fail(f"the test changed {' and '.join(leaked)}", pytrace=False)


@pytest.fixture(autouse=True)
def every_graph_is_verified(monkeypatch):
    """Check the spec before and after every pass."""
    monkeypatch.setattr("skgrad.executor.graph.CHECKED", True)


@pytest.fixture(params=["in Python", pytest.param("compiled", marks=pytest.mark.long)])
def kernels(request, monkeypatch):
    """Run a program's kernels in Python, and in the long run compile them."""
    if request.param == "in Python":
        interpreter = importlib.import_module("backend.cpu.interpreter")
        name = "skgrad.backend.cpu.backend.kernel"
        monkeypatch.setattr(name, interpreter.address)
        # Plans are kept with their graphs: none of a kernel in Python stays.
        monkeypatch.setattr("skgrad.executor.known._known", {})
    return request.param


@pytest.fixture
def rng():
    """Return a random generator with the same seed in every test."""
    return np.random.default_rng(0)
