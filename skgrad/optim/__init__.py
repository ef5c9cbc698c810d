"""Optimizers, learning-rate schedules and gradient clipping.

Stochastic optimizers (`SGD`, `RMSprop`, `Adam`, `AdamW`) update parameters from the
gradient of one minibatch; full-batch ones (`Newton`, `LBFGS`) minimise a function of
a flat vector. ``stochastic`` on the class tells which is which.
"""

from skgrad.optim.adam import Adam, AdamW
from skgrad.optim.base import Optimizer
from skgrad.optim.clipping import clip_by_norm, clip_grad_norm_
from skgrad.optim.full_batch import FullBatchOptimizer, MinimizeStatus
from skgrad.optim.lbfgs import LBFGS
from skgrad.optim.newton import Newton
from skgrad.optim.registry import OPTIMIZERS, get_optimizer, register_optimizer
from skgrad.optim.rmsprop import RMSprop
from skgrad.optim.schedule import (
    SCHEDULES,
    Schedule,
    get_schedule,
    register_schedule,
)
from skgrad.optim.schedules import Constant, Cosine, OneCycle, Plateau, Step
from skgrad.optim.sgd import SGD

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "FullBatchOptimizer",
    "MinimizeStatus",
    "Newton",
    "OneCycle",
    "Optimizer",
    "Plateau",
    "RMSprop",
    "Schedule",
    "Step",
    "clip_by_norm",
    "clip_grad_norm_",
    "get_optimizer",
    "get_schedule",
    "register_optimizer",
    "register_schedule",
]
