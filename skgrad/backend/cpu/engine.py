"""From LLVM IR to machine code in this process, for this machine's processor.

Two halves that meet in an object file: :func:`compiled` turns IR into object code,
:func:`loaded` turns object code into addresses. A process that finds all its object
code on disk runs the second half only.
"""

from __future__ import annotations

from functools import cache

import llvmlite
import llvmlite.binding as llvm

__all__ = ["compiled", "loaded", "target"]


@cache
def _features() -> str:
    """Return the processor's features, and that its longest vectors are to be used.

    LLVM prefers half of 512 bits where whole ones may slow the clock. The products take
    whole ones anyway, and the kernels between them gain: logistic regression at
    100,000 x 50 and networks of 64 and 100 units took 0.95 of the time.
    """
    features = llvm.get_host_cpu_features()
    longest = ",-prefer-256-bit" if features.get("avx512f") else ""
    return str(features.flatten()) + longest


@cache
def _machine() -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=_features(),
        opt=3,
        reloc="pic",
    )


@cache
def target() -> str:
    """Return what object code depends on beside its source: versions and processor."""
    return "|".join(
        (
            llvmlite.__version__,
            ".".join(map(str, llvm.llvm_version_info)),
            llvm.get_default_triple(),
            llvm.get_host_cpu_name(),
            _features(),
        )
    )


def optimized(source: str) -> llvm.ModuleRef:
    """Return the module of LLVM IR after LLVM's passes.

    Parameters
    ----------
    source : str
        A module in LLVM's assembly language.

    Returns
    -------
    llvmlite.binding.ModuleRef
        ``str()`` of it is the optimised IR.
    """
    machine = _machine()
    module = llvm.parse_assembly(source)
    module.verify()  # LLVM's passes crash on what is not well formed
    module.triple = llvm.get_default_triple()
    module.data_layout = str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


def compiled(source: str) -> bytes:
    """Return the object code of LLVM IR.

    Parameters
    ----------
    source : str
        A module in LLVM's assembly language.

    Returns
    -------
    bytes
        An object file for this machine's processor.
    """
    return bytes(_machine().emit_object(optimized(source)))


@cache
def _jit() -> llvm.orcjit.LLJIT:
    _machine()
    return llvm.create_lljit_compiler(
        llvm.Target.from_default_triple().create_target_machine()
    )


# Libraries stay loaded as long as the process: nothing unloads code that may run.
_libraries: list[object] = []


def loaded(code: bytes, symbol: str) -> int:
    """Return the address of a function of object code.

    Parameters
    ----------
    code : bytes
        An object file, from :func:`compiled`.
    symbol : str
        The function's name.

    Returns
    -------
    int
        Its address, valid as long as the process.
    """
    builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
    library = builder.export_symbol(symbol).link(_jit(), f"skgrad-{len(_libraries)}")
    _libraries.append(library)
    return int(library[symbol])
