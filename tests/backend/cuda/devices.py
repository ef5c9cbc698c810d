"""The devices that tests of eager computation run on: a stand-in, and a real GPU."""

import contextlib
import sys
import warnings

import pytest
from backend.cuda import stand_in

from skgrad.backend.base import get_backend
from skgrad.backend.cuda import eager
from skgrad.backend.cuda.available import missing
from skgrad.core.primitive import registered

with warnings.catch_warnings():  # of CuPy, about where it looks for CUDA
    warnings.simplefilter("ignore")
    WHY_NOT = missing()
REAL = pytest.param(
    "GPU",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(WHY_NOT is not None, reason=f"no GPU to test on: {WHY_NOT}"),
    ],
)
DEVICES = ["stand-in", REAL]


def forget():
    """Forget the backends of GPUs and the functions made with them."""
    get_backend.cache_clear()
    eager._backend.cache_clear()
    for primitive in registered().values():
        for key in [k for k in primitive._kernels if "cuda" in str(k)]:
            del primitive._kernels[key]


@contextlib.contextmanager
def standing_in(monkeypatch):
    """Let the stand-in be CuPy inside the block."""
    forget()
    for name, module in stand_in.MODULES.items():
        monkeypatch.setitem(sys.modules, name, module)
    try:
        yield
    finally:
        forget()
