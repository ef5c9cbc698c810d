"""A backend of CUDA text compiled for the host, called by the CPU's loop."""

import ctypes
from functools import cache

from backend.cuda import host
from backend.cuda.programs import made

from skgrad.backend.cpu import backend as cpu
from skgrad.backend.cuda.library import LIBRARY


def on(case, backend):
    """Return the program of a case with compiled kernels of a backend."""
    program = case.program.on("reference").on("cpu")
    program._executor.backend = backend
    return program


class Recorder:
    """A backend that notes what it is asked for and runs nothing."""

    def __init__(self):
        self.specs = {}
        self.instructions = {}

    def kernel(self, spec):
        self.specs[spec] = None
        return 0

    def instruction(self, name, dtypes, sizes):
        if name in LIBRARY:
            self.instructions[name, dtypes] = None
        return 0, (), sizes

    def workspace(self, name, dtype, sizes):
        return 0

    def run(self, *args):
        pass


@cache
def collected(names):
    """Return the kernels and the instructions of programs."""
    recorder = Recorder()
    for name in names:
        case = made(name)
        case.run(on(case, recorder))
    return list(recorder.specs), list(recorder.instructions)


_FUNCTION = ctypes.CFUNCTYPE(
    None,
    ctypes.POINTER(ctypes.c_int64),
    ctypes.POINTER(ctypes.c_int64),
    ctypes.c_int64,
)


class HostBackend:
    """A backend of CUDA text compiled for the host; products are the CPU's."""

    run = staticmethod(cpu.run)
    workspace = staticmethod(cpu.workspace)

    def __init__(self, names, *flags):
        specs, instructions = collected(names)
        self.kernels = host.kernels(specs, *flags)
        self.routines = host.routines(instructions, *flags)
        self._alive = []

    def _address(self, function, n_pointers, n_sizes):
        def called(pointers, sizes, step):
            function(pointers[:n_pointers], sizes[:n_sizes], step)

        self._alive.append(_FUNCTION(called))
        return ctypes.cast(self._alive[-1], ctypes.c_void_p).value

    def kernel(self, spec):
        n_strides = sum(operand.strides.count("s") for operand in spec.operands)
        n_pointers = len(spec.operands)
        return self._address(self.kernels[spec], n_pointers, spec.rank + n_strides)

    def instruction(self, name, dtypes, sizes):
        if name not in LIBRARY:
            return cpu.instruction(name, dtypes, sizes)
        function = self.routines[name, dtypes]
        return self._address(function, function.n_pointers, len(sizes)), (), sizes
