"""From LLVM IR to an address: machine code comes back from an object file unchanged."""

import ctypes
import subprocess
import sys

import llvmlite
import llvmlite.binding as llvm
import numpy as np
import pytest

from skgrad.backend.cpu import engine

AFFINE = """
define i64 @affine(i64 %x) {
  %three = mul i64 %x, 3
  %y = add i64 %three, 1
  ret i64 %y
}
"""
# Calls nothing but has a loop to vectorise: an array is doubled.
DOUBLE = """
define void @double(ptr noalias %x, i64 %n) {
entry:
  br label %turn
turn:
  %i = phi i64 [0, %entry], [%next, %turn]
  %address = getelementptr inbounds float, ptr %x, i64 %i
  %value = load float, ptr %address
  %sum = fadd float %value, %value
  store float %sum, ptr %address
  %next = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %turn, label %done
done:
  ret void
}
"""


def test_object_code_is_bytes_that_run():
    code = engine.compiled(AFFINE)
    assert isinstance(code, bytes)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
    affine = function(engine.loaded(code, "affine"))
    assert [affine(x) for x in (0, 5, -2)] == [1, 16, -5]


def test_the_same_symbol_of_two_modules_is_two_functions():
    other = AFFINE.replace("i64 %x, 3", "i64 %x, 5")
    addresses = [engine.loaded(engine.compiled(s), "affine") for s in (AFFINE, other)]
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
    assert [function(address)(2) for address in addresses] == [7, 11]


def test_object_code_runs_in_another_process(tmp_path):
    file = tmp_path / "double.o"
    file.write_bytes(engine.compiled(DOUBLE))
    script = """
import ctypes, pathlib, sys
import numpy as np
from skgrad.backend.cpu import engine
function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
double = function(engine.loaded(pathlib.Path(sys.argv[1]).read_bytes(), "double"))
x = np.arange(100, dtype=np.float32)
double(x.ctypes.data, 99)
print(x.sum())
"""
    command = [sys.executable, "-c", script, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == 2 * np.arange(99).sum() + 99


def test_loops_are_vectorised():
    assert " x float>" in str(engine.optimized(DOUBLE))


@pytest.mark.parametrize(
    "source",
    [
        "this is not assembly",
        AFFINE.replace("mul i64 %x", "mul i32 %x"),
        AFFINE.replace("%x, 3", "%y, 3"),  # parsed, but a value is used before it is
        DOUBLE.replace("[0, %entry], ", ""),  # parsed, but an edge has no value
    ],
    ids=["syntax", "types", "order", "phi"],
)
@pytest.mark.parametrize("function", [engine.optimized, engine.compiled])
def test_malformed_source_is_an_error_and_not_a_crash(function, source):
    with pytest.raises(RuntimeError):
        function(source)


def test_what_object_code_depends_on_is_in_the_target():
    parts = engine.target().split("|")
    assert llvmlite.__version__ in parts
    assert ".".join(map(str, llvm.llvm_version_info)) in parts
    assert llvm.get_host_cpu_name() in parts
    assert llvm.get_default_triple() in parts
