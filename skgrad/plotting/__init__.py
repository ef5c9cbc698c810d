"""Pictures of fitted models, in the style of scikit-learn's displays.

They need matplotlib: ``pip install "skgrad[plot]"``. It is imported when something is
drawn, not with this package.
"""

from skgrad.plotting.calibration import CalibrationCurve, CalibrationDisplay
from skgrad.plotting.coefficient_path import (
    CoefficientPathDisplay,
    CrossValidationPathDisplay,
)
from skgrad.plotting.coefficients import CoefficientDisplay
from skgrad.plotting.curve import TrainingCurve
from skgrad.plotting.learning_rate import LearningRateDisplay
from skgrad.plotting.partial_effects import PartialEffectDisplay
from skgrad.plotting.residuals import ResidualsDisplay
from skgrad.plotting.training import TrainingCurveDisplay

__all__ = [
    "CalibrationCurve",
    "CalibrationDisplay",
    "CoefficientDisplay",
    "CoefficientPathDisplay",
    "CrossValidationPathDisplay",
    "LearningRateDisplay",
    "PartialEffectDisplay",
    "ResidualsDisplay",
    "TrainingCurve",
    "TrainingCurveDisplay",
]
