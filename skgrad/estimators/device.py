"""Where a fit runs, and whether a GPU would pay."""

from __future__ import annotations

from skgrad.backend import get_backend
from skgrad.exceptions import DeviceError

__all__ = ["check_device", "step_seconds"]

# A multiply and an add, forward and twice backward, of each parameter with each row.
OPERATIONS = 6
# Operations per second of one core in small products; a step of (64,) x 32 rows takes
# 3.9 µs (benchmarks/results/bench_fit.md).
CPU_RATE = 5e10
# The order of magnitude of one launch on a GPU, the least a step takes there. A bound
# by which to speak, not a measurement: the crossover lies above it.
LAUNCH_SECONDS = 1e-5


def step_seconds(n_rows: int, n_parameters: int) -> float:
    """Return about how long the CPU takes for a training step.

    Parameters
    ----------
    n_rows : int
        Rows of a batch.
    n_parameters : int
        Parameters of the model.

    Returns
    -------
    float
        Seconds of one core.

    Examples
    --------
    >>> from skgrad.estimators.device import step_seconds
    >>> step_seconds(32, 1409) < 1e-5
    True
    """
    return OPERATIONS * n_rows * n_parameters / CPU_RATE


def check_device(device: str, n_rows: int, n_parameters: int) -> None:
    """Raise if there is no such device; say so if a GPU would not pay either.

    Parameters
    ----------
    device : str
        As the user asked for it.
    n_rows, n_parameters : int
        Of a training step.

    Raises
    ------
    DeviceError
        Names the devices that are known.

    Examples
    --------
    >>> from skgrad.estimators.device import check_device
    >>> check_device("cpu", 32, 1409)
    """
    try:
        get_backend(device)
    except DeviceError as error:
        seconds = step_seconds(n_rows, n_parameters)
        if not device.startswith("cuda") or seconds >= LAUNCH_SECONDS:
            raise
        raise DeviceError(
            f"{error} Nor would a GPU pay for work this small: a step over {n_rows} "
            f"rows with {n_parameters} parameters takes the CPU about "
            f"{1e6 * seconds:.2g} µs, launching it on a GPU about "
            f"{1e6 * LAUNCH_SECONDS:g} µs. Set device='cpu'."
        ) from None
