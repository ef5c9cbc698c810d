"""Every error skgrad raises on its own account, and warnings of its own.

::

    SkgradError
    ├── ShapeError       (also ValueError)    shapes that do not fit together
    ├── DTypeError       (also TypeError)     dtypes that would be changed silently
    ├── DeviceError      (also RuntimeError)  a device that is missing, or mixed
    ├── GradientError    (also RuntimeError)  a derivative that cannot be had
    ├── TraceError       (also RuntimeError)  a value asked of an abstract tensor
    ├── DivergenceError  (also ValueError)    a fit whose loss is no longer finite
    ├── GraphError       (also RuntimeError)  a graph that breaks its own spec
    └── ParameterError   (also ValueError)    a parameter outside its domain

    UserWarning
    ├── DataWarning      inputs that are probably not what was meant
    └── FitWarning       a fitted model that is probably not what was meant

Each error inherits from the built-in exception a NumPy or scikit-learn user expects, so
``except ValueError`` keeps working.
"""

__all__ = [
    "DTypeError",
    "DataWarning",
    "DeviceError",
    "DivergenceError",
    "FitWarning",
    "GradientError",
    "GraphError",
    "ParameterError",
    "ShapeError",
    "SkgradError",
    "SolverError",
    "TraceError",
]


class SkgradError(Exception):
    """Base class of the errors skgrad raises.

    Examples
    --------
    >>> import skgrad
    >>> try:
    ...     skgrad.tensor([1.0, 2.0]) + skgrad.tensor([1.0, 2.0, 3.0])
    ... except skgrad.exceptions.SkgradError as error:
    ...     print(type(error).__name__)
    ShapeError
    """


class ShapeError(SkgradError, ValueError):
    """Shapes that do not fit together; the message shows all of them.

    Examples
    --------
    >>> from skgrad.exceptions import ShapeError
    >>> issubclass(ShapeError, ValueError)
    True
    """


class DTypeError(SkgradError, TypeError):
    """Dtypes that an operation would have to change silently.

    Examples
    --------
    >>> from skgrad.exceptions import DTypeError
    >>> issubclass(DTypeError, TypeError)
    True
    """


class DeviceError(SkgradError, RuntimeError):
    """A device that is unknown or not usable here, or tensors on two devices.

    Examples
    --------
    >>> from skgrad.exceptions import DeviceError
    >>> issubclass(DeviceError, RuntimeError)
    True
    """


class GradientError(SkgradError, RuntimeError):
    """A derivative that does not exist or was not recorded.

    Examples
    --------
    >>> from skgrad.exceptions import GradientError
    >>> issubclass(GradientError, RuntimeError)
    True
    """


class TraceError(SkgradError, RuntimeError):
    """Python asked for the value of a tensor that is only being traced.

    Examples
    --------
    >>> from skgrad.exceptions import TraceError
    >>> issubclass(TraceError, RuntimeError)
    True
    """


class DivergenceError(SkgradError, ValueError):
    """A fit whose loss or parameters are no longer finite, or have grown.

    Parameters
    ----------
    what : str
        What broke, without a full stop.
    advice : str
        The likely cause and the remedy.

    Examples
    --------
    >>> from skgrad.exceptions import DivergenceError
    >>> print(DivergenceError("The loss is nan in epoch 1", "Scale the inputs."))
    The loss is nan in epoch 1. Scale the inputs.
    >>> issubclass(DivergenceError, ValueError)
    True
    """

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what, advice)
        self.what = what
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.what}. {self.advice}"


class GraphError(SkgradError, RuntimeError):
    """A graph that does not satisfy the written spec (a bug in skgrad or a pass).

    Examples
    --------
    >>> from skgrad.exceptions import GraphError
    >>> issubclass(GraphError, RuntimeError)
    True
    """


class ParameterError(SkgradError, ValueError):
    """A parameter outside its domain; the message gives the domain and the value.

    Examples
    --------
    >>> from skgrad.exceptions import ParameterError
    >>> issubclass(ParameterError, ValueError)
    True
    """


class SolverError(SkgradError, RuntimeError):
    """An exact solver that found no certified solution.

    Examples
    --------
    >>> from skgrad.exceptions import SolverError
    >>> issubclass(SolverError, RuntimeError)
    True
    """


class DataWarning(UserWarning):
    """Inputs that are probably not what was meant; the message names the columns.

    Examples
    --------
    >>> import warnings
    >>> from skgrad.exceptions import DataWarning
    >>> warnings.simplefilter("ignore", DataWarning)  # folds may lack a category
    """


class FitWarning(UserWarning):
    """A fitted model that is probably not what was meant, such as a constant one.

    Examples
    --------
    >>> from skgrad.exceptions import FitWarning
    >>> issubclass(FitWarning, UserWarning)
    True
    """
