"""The text of CUDA kernels as C++ of the host, and a launcher in one thread.

The threads of a block that wait for each other are contexts with stacks of their own:
one runs up to a barrier, then another, in an order by chance; a warp waits for itself
alone, where that is what the text says. Everything else is what a device runs.
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
#define QUIET __attribute__((no_sanitize("thread")))
#include <algorithm>
#include <stddef.h>
#include <stdio.h>
#include <ucontext.h>
#include <utility>

using std::min;
struct Place { unsigned int x, y, z; };
static Place threadIdx, blockIdx, blockDim, gridDim;
static void __syncthreads();
static void __syncwarp();
"""

TAIL = """
static const unsigned MOST = 256, WARP = 32;
enum State { READY, AT_WARP, AT_BLOCK, FINISHED };
static ucontext_t launcher, contexts[MOST];
static char stacks[MOST][1 << 16];
static State states[MOST];
static int epoch, warp_epochs[MOST / WARP];  // barriers that were passed
static void (*launched)(void **);
static void **launched_arguments;
static unsigned launch_number, chance = 1;
static bool runs;  // a thread, and not the launcher
static char problem[200];

QUIET static void report(const char *what) {
    if (problem[0]) return;
    snprintf(problem, sizeof problem, "thread %u of block (%u, %u) %s",
             threadIdx.x, blockIdx.x, blockIdx.y, what);
}

QUIET static void wait(State state) {
    const unsigned t = threadIdx.x;
    states[t] = state;
    swapcontext(&contexts[t], &launcher);
}

QUIET static void __syncthreads() { wait(AT_BLOCK); }
QUIET static void __syncwarp() { wait(AT_WARP); }

QUIET static void one_thread() {
    launched(launched_arguments);
    states[threadIdx.x] = FINISHED;
}

// Let threads go on that all wait for each other; return whether there are any.
QUIET static bool passed(unsigned first, unsigned end, State barrier, int &number) {
    bool waits = false;
    for (unsigned t = first; t < end; t++) {
        if (states[t] != FINISHED && states[t] != barrier) return false;
        waits |= states[t] == barrier;
    }
    for (unsigned t = first; waits && t < end; t++) {
        if (states[t] == barrier) states[t] = READY;
    }
    number += waits;
    return waits;
}

QUIET static void one_block() {
    const unsigned n = blockDim.x;
    epoch = 0;
    for (unsigned t = 0; t < n; t++) {
        warp_epochs[t / WARP] = 0;
        states[t] = READY;
        getcontext(&contexts[t]);
        contexts[t].uc_stack.ss_sp = stacks[t];
        contexts[t].uc_stack.ss_size = sizeof stacks[t];
        contexts[t].uc_link = &launcher;
        makecontext(&contexts[t], one_thread, 0);
    }
    for (bool goes_on = true; goes_on;) {
        goes_on = false;
        chance = chance * 1664525 + 1013904223;
        const unsigned first = chance >> 8, step = chance >> 16 | 1;
        for (unsigned i = 0; i < n; i++) {
            const unsigned t = (first + i * step) % n;  // n is a power of two
            if (states[t] != READY) continue;
            threadIdx.x = t;
            runs = true;
            swapcontext(&launcher, &contexts[t]);
            runs = false;
            goes_on = true;
        }
        for (unsigned w = 0; w * WARP < n; w++) {
            const unsigned end = min(n, (w + 1) * WARP);
            goes_on |= passed(w * WARP, end, AT_WARP, warp_epochs[w]);
        }
        goes_on |= passed(0, n, AT_BLOCK, epoch);
    }
    for (threadIdx.x = 0; threadIdx.x < n; threadIdx.x++) {
        if (states[threadIdx.x] != FINISHED) report("waits for some that never come");
    }
}

template <void (*kernel)(void **)>
QUIET static const char *grid(void **a, unsigned int *shape, bool together) {
    blockDim = {shape[2], 1, 1};
    gridDim = {shape[0], shape[1], 1};
    launched = kernel;
    launched_arguments = a;
    launch_number++;
    problem[0] = 0;
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++) {
        for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++) {
            if (together) { one_block(); continue; }
            for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++) kernel(a);
        }
    }
    return problem[0] ? problem : nullptr;
}

template <class... A, size_t... I>
QUIET static void spread(void (*kernel)(A...), void **a, std::index_sequence<I...>) {
    kernel(*(A *)a[I]...);
}

template <class... A> QUIET static void called(void (*kernel)(A...), void **a) {
    spread(kernel, a, std::index_sequence_for<A...>());
}

#define LAUNCHER(name, together) \\
    QUIET static void thunk_##name(void **a) { called(name, a); } \\
    extern "C" QUIET const char *launch_##name(void **a, unsigned int *shape) { \\
        return grid<thunk_##name>(a, shape, together); \\
    }
"""

CHECKED = ("-fsanitize=thread",)
"""Flags of builds in which threads may not race, nor reach beyond what is `known`."""

CHECKS = (Path(__file__).parent / "checks.hpp").read_text()

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


def launchers(text, checked):
    """Return the definitions of launchers of the functions in a text."""
    lines = []
    for part in text.split('extern "C" ')[1:]:
        name = re.search(r"__global__ void (\w+)\(", part)[1]
        together = "true" if checked or "__sync" in part else "false"
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
    checked = flags == CHECKED
    parts = [HEAD, text, TAIL, launchers(text, checked), CHECKS if checked else ""]
    program = "\n".join(parts)
    command = [compiler(), *FLAGS, *flags]
    name = hashlib.sha256("\n".join((*command, program)).encode()).hexdigest()[:16]
    directory = Path(os.environ["SKGRAD_CACHE_DIR"]) / "host"
    directory.mkdir(exist_ok=True)
    library = directory / f"{name}.so"
    if not library.exists():
        own = directory / f"{name}-{os.getpid()}"
        own.with_suffix(".cpp").write_text(program)
        _run([*command, "-c", f"{own}.cpp", "-o", f"{own}.o"])
        # The sanitizer's own library is not to be linked.
        linked = () if checked else flags
        _run([compiler(), "-shared", *linked, f"{own}.o", "-o", f"{own}.so"])
        own.with_suffix(".so").replace(library)
    return ctypes.CDLL(library)


def _run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[:4000]


def call(function, places, shape):
    """Launch a function; it is an error if threads race or wait in vain."""
    function.restype = ctypes.c_char_p
    problem = function(
        ctypes.c_void_p(places.ctypes.data), ctypes.c_void_p(shape.ctypes.data)
    )
    assert problem is None, f"{function.__name__}: {problem.decode()}"


def know(library, memory):
    """Tell a checked build which memory there is: where each begins and ends."""
    library.known = np.array(sorted(memory.items()), np.uint64)  # it is not copied
    library.know(
        ctypes.c_void_p(library.known.ctypes.data), ctypes.c_size_t(len(memory))
    )


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
        call(getattr(library, f"launch_{name}{one.function}"), places, shape)
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
