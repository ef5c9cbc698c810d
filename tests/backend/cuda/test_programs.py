"""Every program's kernels as CUDA C: compiled for devices, and run on the host."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from backend.cuda import host
from backend.cuda.on_host import HostBackend, collected, on
from backend.cuda.programs import CASES, made
from backend.cuda.test_printer import FAST, NO_FLOAT64

from skgrad.backend.cuda.library import LIBRARY
from skgrad.backend.cuda.printer import module, source

# The oldest and the newest device of those that train networks today.
ARCHITECTURES = ("sm_80", "sm_90")
ORDINARY = (
    *(name for name in CASES if name.endswith(" float32")),
    *("reductions", "take 0", "scatter_add 0", "cumsum 0", "argmax 0"),
    *("sparse step", "float32 step", "all settings"),
    *("loss huber", "loss log_loss-multinomial"),
    "optimizer adam",
)
# Undefined behaviour ends the process; it takes twice the time to compile.
SANITIZED = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
REST = tuple(name for name in CASES if name not in ORDINARY)
TIERS = [ORDINARY, pytest.param(REST, marks=pytest.mark.long)]
CASES_IN_TIERS = [
    *ORDINARY,
    *(pytest.param(name, marks=pytest.mark.long) for name in REST),
]
tiers = pytest.mark.parametrize("names", TIERS, ids=["ordinary", "rest"])


def functions(names):
    """Return the sources of all kernels and instructions of programs."""
    specs, instructions = collected(names)
    sources = [source(spec, f"kernel{i}") for i, spec in enumerate(specs)]
    for i, (name, dtypes) in enumerate(instructions):
        sources.append(LIBRARY[name].source(f"routine{i}", *dtypes))
    return sources


@tiers
def test_devices_have_code_for_every_kernel(names, tmp_path):
    sources = functions(names)
    modules = [module(sources[i::2]) for i in range(2)]
    targets = [f"-gencode=arch=compute_{a[3:]},code={a}" for a in ARCHITECTURES]

    def said(i):
        path = tmp_path / f"module{i}"
        return host.device_code(modules[i], path, "-fatbin", *targets)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(said, range(2))) == ["", ""]


@tiers
def test_float32_kernels_have_no_float64(names):
    specs, _ = collected(names)
    single = [
        spec
        for spec in specs
        if "float64" not in {x.dtype for x in (*spec.operands, *spec.bindings)}
    ]
    assert len(single) >= 10
    for spec in single:
        assert not NO_FLOAT64.search(source(spec))
    for text in functions(names):
        assert not FAST.search(text)


@pytest.fixture(scope="module")
def backends():
    """Return the backend of a tier, built at its first use."""
    host.compiler()
    built = {}

    def of(name):
        tier = ORDINARY if name in ORDINARY else REST
        if tier not in built:
            built[tier] = HostBackend(tier, *(SANITIZED if tier is REST else ()))
        return built[tier]

    return of


@pytest.mark.parametrize("name", CASES_IN_TIERS)
def test_values_are_the_references(name, backends):
    case = made(name)
    found = case.run(on(case, backends(name)))
    expected = case.run(case.program.on("reference"))
    for f, e in zip(found, expected, strict=True):
        assert (f.shape, f.dtype) == (e.shape, e.dtype)
        tol = case.rtol if e.dtype.kind == "f" else 0
        np.testing.assert_allclose(f, e, rtol=tol, atol=tol)
