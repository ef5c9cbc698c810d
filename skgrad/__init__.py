"""skgrad: any differentiable model with any loss, behind fit and predict.

Submodules are imported when they are first used: ``import skgrad`` alone loads
neither scikit-learn nor llvmlite nor cupy.
"""

from typing import Any

# Imported at once, not lazily: importing the module ``skgrad.tensor`` later would put
# the module in the place of the function of the same name, and ``functional`` makes
# NumPy functions such as ``np.mean`` known to tensors.
from skgrad import functional  # noqa: F401 - in __all__, which is computed
from skgrad.core.lazy import imported
from skgrad.tensor import Tensor, tensor  # noqa: F401 - likewise

__version__ = "0.1.0.dev0"

_MODULES = (
    "backend",
    "callbacks",
    "core",
    "data",
    "estimators",
    "exceptions",
    "executor",
    "extension",
    "functional",
    "losses",
    "nn",
    "ops",
    "optim",
    "optimize",
    "plotting",
    "solvers",
    "testing",
    "train",
    "transforms",
    "typing",
)
_NAMES = {
    "core.interpreter": ("no_grad",),
    "core.random": ("random_seed",),
    "transforms": (
        *("grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"),
    ),
    "extension": ("custom_vjp", "elementwise"),
    "optimize": ("minimize",),
    "functional": (
        *("dot", "gelu", "log_sigmoid", "log_softmax", "logsumexp", "mean", "norm"),
        *("one_hot", "relu", "silu", "softmax", "sort", "stack", "std"),
        *("take_along_axis", "var"),
    ),
    "ops": (
        *("absolute", "add", "argmax", "argsort", "astype", "broadcast_to", "clip"),
        *("concatenate", "cos", "cumsum", "divide", "equal", "erf", "exp", "expm1"),
        *("expand_dims", "floor", "greater", "greater_equal", "isfinite", "isnan"),
        *("less", "less_equal", "log", "log1p", "logical_and", "logical_not"),
        *("logical_or", "matmul", "max", "maximum", "min", "minimum", "multiply"),
        *("negative", "not_equal", "pack", "pad", "power", "prod", "reshape"),
        *(
            "scatter_add",
            "scatter_windows",
            "sigmoid",
            "sign",
            "sin",
            "softplus",
            "sqrt",
            "square",
        ),
        *("squeeze", "subtract", "sum", "swapaxes", "take", "tanh", "transpose"),
        *("unpack", "where", "windows"),
    ),
    "estimators": (
        *("GradientElasticNetCV", "GradientElasticNetClassifierCV"),
        *("AdditiveClassifier", "AdditiveRegressor"),
        *("FactorTerm", "LinearTerm", "SplineTerm", "TensorTerm"),
        *("GradientLinearClassifier", "GradientLinearRegressor"),
        *("MLPClassifier", "MLPQuantileRegressor", "MLPRegressor"),
        *("QuantileRegressor",),
        *("ModuleClassifier", "ModuleRegressor"),
        *("GradientLinearRanker", "MLPRanker", "ModuleRanker"),
    ),
}
_ORIGIN = dict.fromkeys(_MODULES, "") | {
    name: module for module, names in _NAMES.items() for name in names
}

# `from skgrad import *` leaves Python's own max, min and sum alone, as NumPy's does.
_PUBLIC = {*_ORIGIN, "Tensor", "tensor"} - {"max", "min", "sum"}
__all__ = sorted(_PUBLIC)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    return imported(__name__, _ORIGIN, name)


def __dir__() -> list[str]:
    return __all__
