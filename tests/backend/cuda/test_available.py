import sys
from types import ModuleType, SimpleNamespace

import pytest

from skgrad.backend.cuda import available
from skgrad.exceptions import DeviceError


def fake_cupy(count):
    """Return what is asked of CuPy: a number of devices, or an error."""

    class CUDARuntimeError(Exception):
        pass

    def get_device_count():
        if isinstance(count, str):
            raise CUDARuntimeError(count)
        return count

    runtime = SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError, getDeviceCount=get_device_count
    )
    return SimpleNamespace(cuda=SimpleNamespace(runtime=runtime), __version__="14.0")


@pytest.mark.parametrize("found", [None, ModuleType("cupy")], ids=["none", "folder"])
def test_without_cupy_the_extra_is_named(monkeypatch, found):
    monkeypatch.setitem(sys.modules, "cupy", found)
    with pytest.raises(DeviceError, match=r"CuPy is not installed.*skgrad\[cuda12\]"):
        available.checked_number("cuda")


@pytest.mark.parametrize(
    ("count", "message"),
    [
        ("cudaErrorInsufficientDriver", "no usable GPU or driver: cudaErrorInsuff"),
        (0, "the driver sees no GPU"),
    ],
)
def test_without_a_gpu_cupy_is_not_blamed(monkeypatch, count, message):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(count))
    with pytest.raises(DeviceError, match=f"CuPy .*is installed, but .*{message}"):
        available.checked_number("cuda:0")


def test_devices_are_counted(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(2))
    assert available.missing() is None
    assert [available.checked_number(d) for d in ("cuda", "cuda:1")] == [0, 1]
    with pytest.raises(DeviceError, match=r"2 GPUs, from 'cuda:0' to 'cuda:1'"):
        available.checked_number("cuda:2")


@pytest.mark.parametrize("name", ["cuda1", "cuda:", "gpu", "cuda:-1"])
def test_other_names_are_refused(name):
    assert not available.is_cuda(name)
    with pytest.raises(DeviceError, match="'cuda', or 'cuda:1' by number"):
        available.checked_number(name)
