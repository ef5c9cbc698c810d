"""What skgrad's device asks of CuPy and cuBLAS, done on the host.

Names and arguments are CuPy's: positional, addresses as numbers. Machine code is the
source itself, which is compiled as C++.
"""

import ctypes
import re
from types import SimpleNamespace

import numpy as np
from backend.cuda import host

TYPES = {0: np.float32, 1: np.float64}


def number(x):
    return getattr(x, "value", x)


class ColumnOrder:
    """What the two functions do by their documentation: C = alpha A B + beta C."""

    def __init__(self, streams=None):
        self.computed_in = []
        self.streams = streams
        self.stream = None

    def cublasCreate_v2(self, handle):  # noqa: N802 - its name
        handle._obj.value = 1
        return 0

    def cublasSetStream_v2(self, handle, stream):  # noqa: N802
        if self.streams:
            self.stream = self.streams[stream.value]
        return 0

    def cublasSetWorkspace_v2(self, handle, address, n_bytes):  # noqa: N802
        return 0

    def cublasGemmEx(self, handle, ta, tb, m, n, k, alpha, *rest):  # noqa: N802
        a, kind, lda, b, kb, ldb, beta, c, kc, ldc, compute, algorithm = rest
        more = a, kind, lda, 0, b, kb, ldb, 0, beta, c, kc, ldc, 0, 1
        return self._many(ta, tb, m, n, k, alpha, *more, compute, algorithm)

    def cublasGemmStridedBatchedEx(  # noqa: N802
        self, handle, ta, tb, m, n, k, alpha, *rest
    ):
        return self._many(ta, tb, m, n, k, alpha, *rest)

    def _many(self, ta, tb, m, n, k, alpha, *rest):
        a, kind, lda, sa, b, kb, ldb, sb, beta, c, kc, ldc, sc, count, *how = rest
        assert kind == kb == kc
        assert how[1] == -1
        self.computed_in.append(how[0])
        dtype = TYPES[kind]

        def matrix(address, rows, columns, ld, stride, i):
            size = np.dtype(dtype).itemsize
            start = number(address) + number(stride) * i * size
            cells = ctypes.c_uint8 * (size * (ld * (columns - 1) + rows))
            flat = np.frombuffer(cells.from_address(start), dtype)
            return np.lib.stride_tricks.as_strided(
                flat, (rows, columns), (size, ld * size)
            )

        scales = alpha._obj.value, beta._obj.value  # on the host: read at once

        def multiplied():
            for i in range(count):
                one(i)

        def one(i):
            x = matrix(a, *((k, m) if ta else (m, k)), lda, sa, i)
            y = matrix(b, *((n, k) if tb else (k, n)), ldb, sb, i)
            z = matrix(c, m, n, ldc, sc, i)
            x, y = (x.T if ta else x), (y.T if tb else y)
            z[...] = scales[0] * (x @ y) + (scales[1] * z if scales[1] else 0)

        multiplied() if self.stream is None else self.stream.do(multiplied)
        return 0


class Stream:
    """An order of work; while it is captured, nothing is done."""

    number = 0

    def __init__(self, non_blocking=False):
        assert non_blocking  # the default stream would wait for all others
        Stream.number += 1
        self.ptr = Stream.number
        self.recorded = None

    def do(self, what):
        if self.recorded is None:
            what()
        else:
            self.recorded.append(what)

    def synchronize(self):
        assert self.recorded is None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def begin_capture(self, mode):
        assert mode == "ThreadLocal"
        self.recorded = []

    def end_capture(self):
        graph, self.recorded = Graph(self.recorded), None
        return graph


class Graph:
    def __init__(self, recorded):
        self.recorded = recorded

    def launch(self, stream):
        for what in self.recorded:
            stream.do(what)


class Memory:
    """Memory with an address; it has to be kept."""

    alive = 0

    def __init__(self, n_bytes):
        self.array = np.full(n_bytes + 512, 0xA5, np.uint8)
        self.ptr = -(-self.array.ctypes.data // 512) * 512
        Memory.alive += 1

    def __del__(self):
        Memory.alive -= 1


class FakeCupy:
    """The modules of CuPy that are used; ``streams`` by address."""

    __version__ = "14.0"

    def __init__(self):
        self.streams = {}
        self.current = []
        self.compiled = []
        self.cuda = SimpleNamespace(
            Device=self.device,
            Stream=self.stream,
            alloc=self.alloc,
            alloc_pinned_memory=bytearray,
            runtime=SimpleNamespace(
                CUDARuntimeError=RuntimeError,
                getDeviceCount=lambda: 2,
                memGetInfo=lambda: (2**33, 2**34),
                memcpyDefault=4,
                streamCaptureModeThreadLocal="ThreadLocal",
                memcpyAsync=self.memcpy_async,
            ),
            driver=SimpleNamespace(
                moduleLoadData=self.module_load_data,
                moduleGetFunction=lambda module, name: (module, name),
                launchKernel=self.launch_kernel,
            ),
            nvrtc=SimpleNamespace(
                NVRTCError=RuntimeError,
                getSupportedArchs=lambda: [80, 90],
                getVersion=lambda: (12, 9),
                createProgram=lambda source, name, headers, names: source,
                compileProgram=self.compile_program,
                getCUBIN=lambda program: program.encode(),
                destroyProgram=lambda program: None,
            ),
        )

    def get_default_memory_pool(self):
        return SimpleNamespace(free_bytes=lambda: 0)

    def device(self, number):
        return FakeDevice(self, number)

    def stream(self, non_blocking=False):
        made = Stream(non_blocking)
        self.streams[made.ptr] = made
        return made

    def alloc(self, n_bytes):
        assert self.current, "no device is current"
        assert n_bytes > 0
        return Memory(n_bytes)

    def memcpy_async(self, target, source, n_bytes, kind, stream):
        assert kind == 4
        assert self.streams[stream].recorded is None
        ctypes.memmove(target, source, n_bytes)

    def compile_program(self, program, options):
        self.compiled.append(program)

    def module_load_data(self, binary):
        assert self.current
        text = binary.decode().rstrip("\0")
        heads = re.findall(r"__global__ void (\w+)\((.*?)\)", text, re.DOTALL)
        return host.build(text), {name: args.count(",") + 1 for name, args in heads}

    def launch_kernel(self, function, gx, gy, gz, bx, by, bz, shared, stream, *more):
        ((library, counts), name), (parameters, extra) = function, more
        assert (gz, by, bz, shared, extra) == (1, 1, 1, 0, 0)
        assert self.current
        run = getattr(library, f"launch_{name}")
        # A launch copies its arguments, of 64 bits each.
        n = counts[name]
        places = (ctypes.c_int64 * n).from_address(parameters)
        values = np.array([ctypes.c_int64.from_address(p).value for p in places])
        shape = np.array([gx, gy, bx], np.uint32)

        def launched():
            host.call(run, values.ctypes.data + 8 * np.arange(n), shape)

        self.streams[stream].do(launched)


class FakeDevice:
    compute_capability = "90"

    def __init__(self, cupy, number):
        self.cupy = cupy
        self.number = number

    def __enter__(self):
        self.cupy.current.append(self.number)
        return self

    def __exit__(self, *error):
        self.cupy.current.pop()
