"""Where a fit runs: as asked, or where a cost model over shapes says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from skgrad.backend.cuda.available import checked_number, is_cuda, missing
from skgrad.exceptions import DeviceError

__all__ = ["Placement", "Work", "placed", "placed_prediction"]

# A multiply and an add, forward and twice backward, of each parameter with each row.
OPERATIONS = 6
# Operations per second of one core in small products; a step of (64,) x 32 rows takes
# 3.9 µs (benchmarks/results/bench_fit.md).
CPU_RATE = 5e10
# Of a GPU the orders of magnitude, from data sheets and not measured here: float64 is
# that of devices made for games, slower by 30 than of those made for computing.
GPU_RATE = {"float32": 1e13, "float64": 5e11}
GPU_BANDWIDTH = 5e11  # bytes per second of its own memory
# Products of a stored element of sparse inputs with a number, per second, forward and
# backward, and updates of a parameter, which most rows do not meet: one core of a Xeon
# takes 4 ns (5000 x 20,000, 0.1 %) and 2.5 ns (500 x 500,000). On a GPU a product reads
# some sectors of 32 bytes at random, and an update some arrays; not measured.
CPU_PRODUCTS, GPU_PRODUCTS = 2.5e8, 5e9
CPU_UPDATES, GPU_UPDATES = 4e8, GPU_BANDWIDTH / 64
LAUNCH_SECONDS = 2.5e-6  # of a kernel within a captured step
TRANSFER_RATE = 1e10  # bytes per second from the host
START_SECONDS = 1.0  # loading CuPy and the kernels
# What a step launches, about: 10 of a linear model, 12 of one hidden layer, 18 of two,
# a quarter more with dropout.
LAUNCHES, LAUNCHES_PER_TENSOR = 6, 3
# "auto" takes a GPU where it is expected to be twice as fast: the model is rough.
ADVANTAGE = 2.0
# A prediction that takes the CPU less is not sent to the GPU of the fit.
LEAST_PREDICTION = 0.1


class Placement(NamedTuple):
    """A device, why it was taken, and what to say if that slows the fit down."""

    device: str
    reason: str
    too_small: str = ""


@dataclass(frozen=True)
class Work:
    """What a fit has to do, by shapes alone.

    Parameters
    ----------
    n_samples, row_bytes : int
        Rows of the inputs, and the bytes of one.
    n_rows : int
        Rows of a step: a batch, or all of an optimizer that uses all.
    n_steps : int
        Steps of the fit, at most; evaluations of an optimizer that uses all rows.
    n_parameters, n_tensors : int
        Parameters of the model, and the arrays they come in.
    dtype : {"float32", "float64"}
        Of the computation.
    only_cpu : str, default=""
        Why a GPU cannot do it, if it cannot.
    density : float, default=None
        Of sparse inputs: the part of their elements that is stored.

    Examples
    --------
    >>> from skgrad.estimators.device import Work
    >>> work = Work(20_000, 80, 32, 6250, 1409, 4, "float32")
    >>> f"{1e6 * work.cpu_step:.1f} µs, {1e6 * work.gpu_step:.0f} µs"
    '5.4 µs, 45 µs'
    """

    n_samples: int
    row_bytes: int
    n_rows: int
    n_steps: int
    n_parameters: int
    n_tensors: int
    dtype: str
    only_cpu: str = ""
    density: float | None = None

    @property
    def cpu_step(self) -> float:
        """Seconds of a step on one core of the CPU, about."""
        if self.density is not None:
            return self._sparse_step(CPU_PRODUCTS, CPU_UPDATES)
        return OPERATIONS * self.n_rows * self.n_parameters / CPU_RATE

    @property
    def gpu_step(self) -> float:
        """Seconds of a step on a GPU, about."""
        n_launches = LAUNCHES + LAUNCHES_PER_TENSOR * self.n_tensors
        launches = n_launches * LAUNCH_SECONDS
        if self.density is not None:
            return launches + self._sparse_step(GPU_PRODUCTS, GPU_UPDATES)
        operations = OPERATIONS * self.n_rows * self.n_parameters
        read = self.n_rows * self.row_bytes / GPU_BANDWIDTH
        return launches + operations / GPU_RATE[self.dtype] + read

    def _sparse_step(self, products: float, updates: float) -> float:
        """Return the seconds of a step over sparse rows, at so many per second."""
        met = self.n_rows * self.n_parameters * (self.density or 0.0)
        return 2 * met / products + self.n_parameters / updates

    @property
    def cpu_seconds(self) -> float:
        """Seconds of all steps on one core of the CPU, about."""
        return self.n_steps * self.cpu_step

    @property
    def gpu_seconds(self) -> float:
        """Seconds of all steps on a GPU, start and transfer included, about."""
        start = START_SECONDS + self.n_samples * self.row_bytes / TRANSFER_RATE
        return start + self.n_steps * self.gpu_step

    def too_small(self) -> str:
        """Return what to say of work that a GPU only slows down; "" if it does not."""
        if self.cpu_step >= self.gpu_step:
            return ""
        return (
            f"work this small: a step over {self.n_rows} rows with "
            f"{self.n_parameters} parameters takes the CPU about "
            f"{1e6 * self.cpu_step:.2g} µs, and a GPU about "
            f"{1e6 * self.gpu_step:.2g} µs to launch. Set device='cpu', or 'auto'."
        )


def placed(device: str, work: Work) -> Placement:
    """Return where a fit runs, and why.

    Parameters
    ----------
    device : str
        As the user asked for it: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"auto"``,
        which takes the first GPU if there is one and the fit is expected to take half
        the time there, by a model of the shapes (never of the clock).
    work : Work
        What is to be done.

    Returns
    -------
    Placement
        The device by its full name, ``"cuda:0"``.

    Raises
    ------
    DeviceError
        If there is no such device, or it cannot be used here, or not for this work;
        says so if it would not pay either.

    Examples
    --------
    >>> from skgrad.estimators.device import Work, placed
    >>> placed("cpu", Work(100, 80, 32, 100, 1409, 4, "float32")).reason
    'as asked'
    """
    if device == "cpu":
        return Placement("cpu", "as asked")
    if device == "auto":
        return _chosen(work)
    if not is_cuda(device):
        raise DeviceError(
            f"There is no device {device!r}. Devices are 'cpu', 'cuda' (or 'cuda:1' by "
            "number) and 'auto'."
        )
    if work.only_cpu:
        raise DeviceError(f"device={device!r} cannot do this: {work.only_cpu}")
    small = work.too_small()
    try:
        number = checked_number(device)
    except DeviceError as error:
        if not small:
            raise
        raise DeviceError(f"{error} Nor would a GPU pay for {small}") from None
    return Placement(f"cuda:{number}", "as asked", small)


def placed_prediction(device: str, n_rows: int, n_parameters: int) -> str:
    """Return where to predict: where it was fitted, if that is here and it pays.

    Parameters
    ----------
    device : str
        Where it was fitted.
    n_rows, n_parameters : int
        Rows to predict, and parameters of the model.

    Returns
    -------
    str
        The device, or ``"cpu"``: a model fitted on a GPU predicts without one.

    Examples
    --------
    >>> from skgrad.estimators.device import placed_prediction
    >>> placed_prediction("cuda:0", 100, 1409)
    'cpu'
    """
    seconds = OPERATIONS / 3 * n_rows * n_parameters / CPU_RATE
    if device == "cpu" or seconds < LEAST_PREDICTION:
        return "cpu"
    try:
        checked_number(device)
    except DeviceError:  # another machine than that of the fit
        return "cpu"
    return device


def _chosen(work: Work) -> Placement:
    """Return what "auto" chooses."""
    if work.only_cpu:
        return Placement("cpu", work.only_cpu)
    cpu, gpu = work.cpu_seconds, work.gpu_seconds
    if gpu * ADVANTAGE > cpu:
        times = f"about {cpu:.2g} s on a core of the CPU, {gpu:.2g} s on a GPU"
        return Placement("cpu", f"the fit is too small for a GPU: {times}")
    why = missing()
    if why is not None:
        return Placement("cpu", why)
    times = f"about {gpu:.2g} s, on a core of the CPU {cpu:.2g} s"
    return Placement("cuda:0", f"the fit is large: {times}")
