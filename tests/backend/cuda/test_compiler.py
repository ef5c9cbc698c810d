"""Sources become machine code once, with a compiler that is made up."""

import functools
from types import SimpleNamespace

import pytest

from skgrad.backend.cuda import compiler
from skgrad.backend.cuda.scalar import PRELUDE
from skgrad.exceptions import GraphError


class NVRTC:
    """What is asked of ``cupy.cuda.nvrtc``."""

    class NVRTCError(RuntimeError):
        pass

    def __init__(self, supported=(80, 90)):
        self.supported = supported
        self.compiled = []
        self.alive = 0

    def getSupportedArchs(self):  # noqa: N802 - its name
        return list(self.supported)

    def getVersion(self):  # noqa: N802
        return (12, 9)

    def createProgram(self, source, name, headers, include_names):  # noqa: N802
        self.alive += 1
        return source

    def compileProgram(self, program, options):  # noqa: N802
        self.compiled.append((program, options))
        if "mistake" in program:
            raise self.NVRTCError("NVRTC_ERROR_COMPILATION")

    def getProgramLog(self, program):  # noqa: N802
        return "skgrad.cu(7): error"

    def getCUBIN(self, program):  # noqa: N802
        return b"machine " + program.encode()  # without the zero byte at its end

    def getPTX(self, program):  # noqa: N802
        return "ptx " + program

    def destroyProgram(self, program):  # noqa: N802
        self.alive -= 1


@pytest.fixture
def nvrtc(monkeypatch, tmp_path):
    monkeypatch.setenv("SKGRAD_CACHE_DIR", str(tmp_path / "store"))
    monkeypatch.setattr(compiler, "_store", functools.cache(compiler.opened))
    made = NVRTC()
    cuda = SimpleNamespace(nvrtc=made)
    monkeypatch.setattr(compiler, "cupy", lambda: SimpleNamespace(cuda=cuda))
    return made


def test_each_source_is_compiled_once_for_all_processes(nvrtc, monkeypatch):
    first = compiler.binaries(["a", "b"], 90)
    monkeypatch.setattr(compiler, "_store", functools.cache(compiler.opened))
    assert compiler.binaries(["b", "a", "c"], 90)[:2] == first[::-1]
    assert sorted(text[-1] for text, _ in nvrtc.compiled) == ["a", "b", "c"]
    assert first[0] == b"machine " + PRELUDE.encode() + b"\na\0"
    assert nvrtc.alive == 0


def test_another_device_or_compiler_has_code_of_its_own(nvrtc):
    compiler.binaries(["a"], 90)
    compiler.binaries(["a"], 80)
    nvrtc.getVersion = lambda: (13, 0)
    compiler.binaries(["a"], 80)
    assert len(nvrtc.compiled) == 3


@pytest.mark.parametrize(
    ("capability", "option", "kind"),
    [
        (90, "sm_90", b"machine"),
        (86, "compute_80", b"ptx"),
        (120, "compute_90", b"ptx"),
    ],
)
def test_a_newer_device_is_given_ptx(nvrtc, capability, option, kind):
    (code,) = compiler.binaries(["a"], capability)
    assert code.startswith(kind)
    (_, options), *_ = nvrtc.compiled
    assert f"--gpu-architecture={option}" in options
    assert not any("fast" in o or "ftz" in o for o in options)


def test_what_does_not_compile_is_reported_with_the_log(nvrtc):
    with pytest.raises(GraphError, match=r"NVRTC_ERROR_COMPILATION.*\n.*\(7\): error"):
        compiler.binaries(["a mistake"], 90)
    assert nvrtc.alive == 0
