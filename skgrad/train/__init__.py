"""Training: objectives, the loops that minimise them, and when they stop."""

from skgrad.train.curvature import Curvature
from skgrad.train.data import Data, row_keys
from skgrad.train.divergence import recovered
from skgrad.train.full_batch import fit_full_batch
from skgrad.train.learning_rate import RangeTest, find_learning_rate
from skgrad.train.objective import Frame, Objective, as_arrays, mode
from skgrad.train.prediction import predictor
from skgrad.train.queries import Queries
from skgrad.train.records import Epoch, Fit, Progress, Recovery, Settings, TrainState
from skgrad.train.rows import RowDerivatives, RowValues
from skgrad.train.stochastic import fit_stochastic, initial_state
from skgrad.train.stopping import Patience, StopReason
from skgrad.train.validation import minus_loss

__all__ = [
    "Curvature",
    "Data",
    "Epoch",
    "Fit",
    "Frame",
    "Objective",
    "Patience",
    "Progress",
    "Queries",
    "RangeTest",
    "Recovery",
    "RowDerivatives",
    "RowValues",
    "Settings",
    "StopReason",
    "TrainState",
    "as_arrays",
    "find_learning_rate",
    "fit_full_batch",
    "fit_stochastic",
    "initial_state",
    "minus_loss",
    "mode",
    "predictor",
    "recovered",
    "row_keys",
]
