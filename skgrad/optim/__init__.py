"""Optimizers, learning-rate schedules and gradient clipping.

Stochastic optimizers (`SGD`, `Adam` and others) update parameters from the gradient of
one minibatch; `Averaged` and `Accumulated` go around any of them. Full-batch ones
(`Newton`, `LBFGS` and others) minimise a function of a flat vector. ``stochastic`` on
the class tells which is which.
"""

from skgrad.optim.accumulated import Accumulated
from skgrad.optim.adagrad import Adagrad
from skgrad.optim.adam import Adam, AdamW
from skgrad.optim.averaged import Averaged
from skgrad.optim.base import Optimizer
from skgrad.optim.clipping import clip_by_norm, clip_grad_norm_
from skgrad.optim.fista import FISTA
from skgrad.optim.full_batch import FullBatchOptimizer, MinimizeStatus
from skgrad.optim.lbfgs import LBFGS
from skgrad.optim.lion import Lion
from skgrad.optim.nadam import NAdam
from skgrad.optim.newton import Newton
from skgrad.optim.newton_cg import NewtonCG
from skgrad.optim.nonlinear_cg import NonlinearCG
from skgrad.optim.penalties import L1, GroupL1, Penalty
from skgrad.optim.proximal_newton import ProximalNewton
from skgrad.optim.registry import OPTIMIZERS, get_optimizer, register_optimizer
from skgrad.optim.rmsprop import RMSprop
from skgrad.optim.schedule import (
    SCHEDULES,
    Schedule,
    get_schedule,
    register_schedule,
)
from skgrad.optim.schedules import (
    Constant,
    Cosine,
    CosineWarmRestarts,
    Exponential,
    OneCycle,
    Plateau,
    Step,
)
from skgrad.optim.sgd import SGD
from skgrad.optim.warmup import Warmup

__all__ = [
    "FISTA",
    "L1",
    "LBFGS",
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Accumulated",
    "Adagrad",
    "Adam",
    "AdamW",
    "Averaged",
    "Constant",
    "Cosine",
    "CosineWarmRestarts",
    "Exponential",
    "FullBatchOptimizer",
    "GroupL1",
    "Lion",
    "MinimizeStatus",
    "NAdam",
    "Newton",
    "NewtonCG",
    "NonlinearCG",
    "OneCycle",
    "Optimizer",
    "Penalty",
    "Plateau",
    "ProximalNewton",
    "RMSprop",
    "Schedule",
    "Step",
    "Warmup",
    "clip_by_norm",
    "clip_grad_norm_",
    "get_optimizer",
    "get_schedule",
    "register_optimizer",
    "register_schedule",
]
