"""The registry of devices and the protocol."""

import numpy as np
import pytest

from skgrad.backend import backend_of, device_of, get_backend
from skgrad.exceptions import DeviceError


def test_devices():
    cpu = get_backend("cpu")
    assert cpu.device == "cpu"
    assert get_backend("cpu") is cpu
    assert backend_of(np.zeros(2)) is cpu
    assert backend_of(np.float32(1.0)) is cpu
    with pytest.raises(DeviceError, match=r"'gpu'.*cpu"):
        get_backend("gpu")
    with pytest.raises(DeviceError, match="list"):
        backend_of([1.0])
    assert device_of([1.0]) is None
    assert device_of(np.zeros(2)) == "cpu"


def test_arrays_are_copies():
    data = np.zeros(2)
    copy = get_backend("cpu").array(data)
    assert not np.shares_memory(data, copy)
    assert get_backend("cpu").array([1, 2], "float32").dtype == np.float32
