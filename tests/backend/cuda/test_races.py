"""No kernel races or reaches beyond its memory, as checked builds for the host find."""

import numpy as np
import pytest
from backend.cuda.programs import CASES, made
from backend.cuda.simulated import SimulatedDevice

from skgrad.backend.base import Binding, KernelSpec, Operand, Output
from skgrad.backend.cuda.backend import CudaBackend
from skgrad.backend.cuda.launch import THREADS
from skgrad.backend.cuda.printer import function
from skgrad.executor.cuda import CudaExecutor

ORDINARY = (
    *("reductions", "take 0", "scatter_add 0", "cumsum 0", "argmax 0"),
    *("float32 step", "all settings"),
)
REST = tuple(name for name in CASES if name not in ORDINARY)
NAMES = [*ORDINARY, *(pytest.param(name, marks=pytest.mark.long) for name in REST)]


@pytest.mark.parametrize("name", NAMES)
def test_programs_do_not(name):
    case = made(name)
    program = case.program.on("reference").on("cpu")
    backend = CudaBackend(SimulatedDevice(checked=True))
    program._executor = CudaExecutor(case.program.graph, backend)
    expected = case.run(case.program.on("reference"))
    for f, e in zip(case.run(program), expected, strict=True):
        tol = case.rtol if e.dtype.kind == "f" else 0
        np.testing.assert_allclose(f, e, rtol=tol, atol=tol)


SHAPES = [(1, 20_000), (20_000, 1), (300, 70), (70, 300), (3000, 3)]


@pytest.mark.parametrize("over", [(0,), (1,), (0, 1)])
def test_reductions_of_many_elements_do_not(over, rng):
    target = Operand("float64", "".join("0" if k in over else "s" for k in range(2)))
    matrix, square = (
        Operand("float64", "s1"),
        Binding("({0} * {0})", (0,), 2, "float64"),
    )
    outputs = Output(1, 1, "sum", over), Output(0, 2, "max", over), Output(1, 0)
    spec = KernelSpec(2, (matrix, target, target), 1, (square,), outputs)
    device = SimulatedDevice(checked=True)
    backend = CudaBackend(device)
    number = backend.kernel(spec)
    for shape in SHAPES:
        x = rng.normal(size=shape)
        totals = [np.zeros([1 if k in over else n for k, n in enumerate(shape)])] * 2
        strides = [s // 8 for k, s in enumerate(totals[0].strides) if k not in over]
        memory = [device.allocate(array.nbytes) for array in (x, *totals)]
        device.upload(x, memory[0].address)
        sizes = [*shape, shape[1], *strides, *strides]
        call = number, [m.address for m in memory], sizes
        workspace = device.allocate(backend.workspace_of([call]))
        backend.call([call], workspace.address, 0)
        found = [np.empty_like(array) for array in (x, *totals)]
        for m, array in zip(memory, found, strict=True):
            device.download(m.address, array)
        np.testing.assert_array_equal(found[0], x * x)
        expected = (x * x).sum(axis=over, keepdims=True)
        np.testing.assert_allclose(found[1], expected, rtol=1e-12)
        np.testing.assert_array_equal(found[2], x.max(axis=over, keepdims=True))


# --- what is found ----------------------------------------------------------------

HEAD = f"""
    __shared__ double shared[{THREADS}];
    const int t = threadIdx.x;
    const long long i = blockIdx.x * blockDim.x + t;
"""
TREE = """
    shared[t] = x[i];
    {0}
    for (int half = {1}; half > 0; half /= 2) {{
        if ({2} < half) shared[t] += shared[t + half];
        {0}
    }}
    x[i] = shared[{3}];
"""


def run(body):
    """Run two blocks on an array with an element for each thread."""
    device = SimulatedDevice(checked=True)
    source = function("f_0", ["double *x"], ["n"], f"{HEAD}{body}\n")
    handle = device.functions({source: ["f_0"]})["f_0"]
    x = np.arange(2.0 * THREADS)
    memory = device.allocate(x.nbytes)
    device.upload(x, memory.address)
    device.launch(handle, (2, 1), [memory.address, 0, 0, x.size])
    device.download(memory.address, x)
    return x.reshape(2, THREADS)


def test_barriers_order_what_threads_share():
    before = np.arange(2.0 * THREADS).reshape(2, THREADS)
    blocks = run(TREE.format("__syncthreads();", THREADS // 2, "t", "0"))
    np.testing.assert_array_equal(blocks.T, [before.sum(axis=1)] * THREADS)
    warps = run(TREE.format("__syncwarp();", 16, "t % 32", "t / 32 * 32"))
    sums = before.reshape(2, -1, 32).sum(axis=2)
    np.testing.assert_array_equal(warps, np.repeat(sums, 32, axis=1))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        # A tree without a barrier, and with one that is too narrow.
        (TREE.format("", THREADS // 2, "t", "0"), "what another (read|wrote)"),
        (TREE.format("__syncwarp();", THREADS // 2, "t", "0"), "what another"),
        # A step of it that does not wait for those that still read.
        ("shared[t] = i; __syncthreads(); shared[t] = shared[t ^ 1];", "another"),
        # Several writers of one result, of one block or of several.
        ("x[t / 2] = 1.0;", "writes what another wrote"),
        ("x[t] = blockIdx.x;", "writes what another wrote"),
        # One block waits for the other, which a grid does not do.
        ("if (!i) { x[n - 1] = 1.0; } __syncthreads(); x[i] = x[n - 1];", "another"),
        # Beyond the memory, on either side.
        ("if (i + 1 == n) x[n] = 1.0;", "writes outside"),
        ("if (i == 0) x[0] = x[-1];", "reads outside"),
        # Not all threads meet.
        ("if (t < 9) __syncthreads(); else if (t < 40) __syncwarp();", "never come"),
    ],
)
def test_what_threads_must_not_do_is_found(body, found):
    with pytest.raises(AssertionError, match=found):
        run(body)
