"""The text of CUDA kernels as C++ of the host, and a launcher in one thread.

The threads of a block that wait for each other are contexts with stacks of their own:
one runs up to a barrier, then the next. Everything else is what a device runs.
"""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from skgrad.backend.cuda.launch import THREADS, kernel_launches, kernel_workspace
from skgrad.backend.cuda.library import LIBRARY
from skgrad.backend.cuda.printer import module, source

HEAD = """
#define __global__
#define __launch_bounds__(...)
#define __shared__ static
#include <algorithm>
#include <stddef.h>
#include <ucontext.h>
#include <utility>

using std::min;
struct Place { unsigned int x, y, z; };
static Place threadIdx, blockIdx, blockDim, gridDim;
static void __syncthreads();
static void __syncwarp() { __syncthreads(); }  // waits for more than it has to
"""

TAIL = """
static ucontext_t launcher, contexts[256];
static char stacks[256][1 << 16];
static bool finished[256];
static void (*launched)(void **);
static void **launched_arguments;

static void __syncthreads() { swapcontext(&contexts[threadIdx.x], &launcher); }

static void one_thread() {
    launched(launched_arguments);
    finished[threadIdx.x] = true;
}

static void one_block() {
    const unsigned int n = blockDim.x;
    for (unsigned int t = 0; t < n; t++) {
        finished[t] = false;
        getcontext(&contexts[t]);
        contexts[t].uc_stack.ss_sp = stacks[t];
        contexts[t].uc_stack.ss_size = sizeof stacks[t];
        contexts[t].uc_link = &launcher;
        makecontext(&contexts[t], one_thread, 0);
    }
    for (bool waiting = true; waiting;) {
        waiting = false;
        for (unsigned int t = 0; t < n; t++) {
            if (finished[t]) continue;
            threadIdx.x = t;
            swapcontext(&launcher, &contexts[t]);
            waiting |= !finished[t];
        }
    }
}

template <void (*kernel)(void **)>
static void grid(void **a, unsigned int *shape, bool together) {
    blockDim = {shape[2], 1, 1};
    gridDim = {shape[0], shape[1], 1};
    launched = kernel;
    launched_arguments = a;
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++) {
        for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++) {
            if (together) { one_block(); continue; }
            for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++) kernel(a);
        }
    }
}

template <class... A, size_t... I>
static void spread(void (*kernel)(A...), void **a, std::index_sequence<I...>) {
    kernel(*(A *)a[I]...);
}

template <class... A> static void called(void (*kernel)(A...), void **a) {
    spread(kernel, a, std::index_sequence_for<A...>());
}

#define LAUNCHER(name, together) \\
    static void thunk_##name(void **a) { called(name, a); } \\
    extern "C" void launch_##name(void **a, unsigned int *shape) { \\
        grid<thunk_##name>(a, shape, together); \\
    }
"""

# An integer that is compared with itself is no NaN, and a kernel does not use all it is
# given. Products and sums are contracted to multiply-adds, as on a device.
FLAGS = [
    "-std=gnu++17",
    "-O1",
    "-shared",
    "-fPIC",
    "-Wall",
    "-Wno-unused",
    "-Wno-unknown-pragmas",
]
FLAGS += ["-Wno-tautological-compare", "-march=native", "-ffp-contract=fast"]


def launchers(text):
    """Return the definitions of launchers of the functions in a text."""
    lines = []
    for part in text.split('extern "C" ')[1:]:
        name = re.search(r"__global__ void (\w+)\(", part)[1]
        together = "true" if "__syncthreads" in part else "false"
        lines.append(f"LAUNCHER({name}, {together})")
    return "\n".join(lines)


def compiler():
    """Return the C++ compiler; without one, skip."""
    found = shutil.which("g++")
    # The contexts of the launcher are those of Linux.
    if found is None or sys.platform != "linux":
        pytest.skip("no C++ compiler to test CUDA's kernels with: no g++ on Linux")
    return found


def device_code(text, path, *flags):
    """Compile a module by CUDA's compiler, or skip; return what it has to say."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc to compile kernels with: CUDA's toolkit is not installed")
    path.with_suffix(".cu").write_text(text)
    command = [nvcc, *flags, "-diag-suppress", "177", f"{path}.cu", "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@cache
def build(text, *flags):
    """Return the library of a module, built once for all processes of the suite."""
    program = "\n".join((HEAD, text, TAIL, launchers(text)))
    command = [compiler(), *FLAGS, *flags]
    name = hashlib.sha256("\n".join((*command, program)).encode()).hexdigest()[:16]
    directory = Path(os.environ["SKGRAD_CACHE_DIR"]) / "host"
    directory.mkdir(exist_ok=True)
    library = directory / f"{name}.so"
    if not library.exists():
        own = directory / f"{name}-{os.getpid()}"
        own.with_suffix(".cpp").write_text(program)
        command += [f"{own}.cpp", "-o", f"{own}.so"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr[:4000]
        own.with_suffix(".so").replace(library)
    return ctypes.CDLL(library)


def launch(library, name, launches, pointers, n_bytes, step, sizes):
    """Run launches one after the other, with a workspace full of rubbish."""
    workspace = np.full(n_bytes + 64, 0xA5, np.uint8)
    start = -workspace.ctypes.data % 64
    counter = np.array([step], np.int64)
    given = [*pointers, workspace.ctypes.data + start, counter.ctypes.data, *sizes]
    for one in launches:
        cells = np.array([*given, *one.sizes], np.int64)
        places = cells.ctypes.data + 8 * np.arange(cells.size)
        shape = np.array([*one.grid, THREADS], np.uint32)
        function = getattr(library, f"launch_{name}{one.function}")
        function(
            ctypes.c_void_p(places.ctypes.data), ctypes.c_void_p(shape.ctypes.data)
        )
    assert (workspace[start + n_bytes :] == 0xA5).all()


# --- kernels and instructions -----------------------------------------------------


def kernels(specs, *flags):
    """Return for each specification a function of addresses and sizes, built as one."""
    specs = list(specs)
    names = [f"kernel{i}" for i in range(len(specs))]
    text = module(map(source, specs, names))
    library = build(text, *flags)
    return {
        spec: partial(_run_kernel, library, name, spec)
        for spec, name in zip(specs, names, strict=True)
    }


def _run_kernel(library, name, spec, pointers, sizes, step=0):
    extents = sizes[: spec.rank]
    launches = kernel_launches(spec, extents)
    n_bytes = kernel_workspace(spec, extents)
    launch(library, name, launches, pointers, n_bytes, step, sizes)


def call_kernel(spec, arrays, extents):
    """Run a kernel on arrays with one axis per loop."""
    strides = [
        array.strides[k] // array.itemsize
        for array, operand in zip(arrays, spec.operands, strict=True)
        for k, letter in enumerate(operand.strides)
        if letter == "s"
    ]
    pointers = [a.ctypes.data for a in arrays]
    kernels([spec])[spec](pointers, [*extents, *strides])


@dataclass(frozen=True)
class HostRoutine:
    """An instruction that is not a kernel, built."""

    library: ctypes.CDLL
    prefix: str
    name: str
    n_pointers: int

    def __call__(self, pointers, sizes, step=0):
        routine = LIBRARY[self.name]
        n_bytes, launches = routine.workspace(*sizes), routine.launches(*sizes)
        launch(self.library, self.prefix, launches, pointers, n_bytes, step, sizes)


def routines(instructions, *flags):
    """Return for each instruction, a name and dtypes, a function, built as one."""
    prefixes = {key: f"routine{i}" for i, key in enumerate(instructions)}
    sources = {
        (name, dtypes): LIBRARY[name].source(prefix, *dtypes)
        for (name, dtypes), prefix in prefixes.items()
    }
    library = build(module(sources.values()), *flags)
    return {
        key: HostRoutine(library, prefixes[key], key[0], _n_pointers(text))
        for key, text in sources.items()
    }


def _n_pointers(text):
    """Return how many operands come before the workspace."""
    return text[: text.index("workspace")].count("*") - 1


def call_instruction(name, arrays, sizes, dtypes=(), step=0):
    """Run an instruction on arrays."""
    routine = routines([(name, dtypes)])[name, dtypes]
    routine([a.ctypes.data for a in arrays], sizes, step)
