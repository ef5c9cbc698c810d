"""What is known about each registered loss from elsewhere, and data for it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import sklearn._loss.loss as sklearn_loss
import torch
from losses.ranks import lambdarank_in_torch
from mpmath import mp

import skgrad
from skgrad import losses

F = torch.nn.functional


@dataclass(frozen=True)
class Case:
    """What is known about a loss from elsewhere.

    ``hand`` rows are (y, raw, value, gradient, second derivative); with several raw
    predictions per sample gradient and second derivative are lists, the diagonal of the
    Hessian. ``formula(y, raw)`` is the textbook definition in mpmath, per output.
    ``torch(raw, y)`` is the same in PyTorch. scikit-learn's loss may differ by
    ``constant(y)``. ``form`` says what targets and raw predictions look like:

    ========= =================== =======================
    form      y                   raw
    ========= =================== =======================
    vector    (n,)                (n,)
    columns   (n,) codes          (n, n_classes)
    shares    (n, n_classes)      (n, n_classes)
    pair      (n,)                (n, 2)
    query     (n, n_documents)    (n, n_documents)
    ========= =================== =======================
    """

    loss: losses.Loss
    hand: list[tuple[Any, ...]]
    torch: Any
    formula: Any = None
    sklearn: Any = None
    constant: Any = None
    outside: tuple[float, ...] = ()
    inside: tuple[float, ...] = (-1e300, 0.0, 1e300)
    form: str = "vector"
    hyper: dict[str, Any] = field(default_factory=dict)
    other: losses.Loss | None = None  # with other values of the hyperparameters
    rtol: float = 2e-14
    hand_rtol: float = 4e-16  # of the hand values

    @property
    def columns(self):
        """The columns of raw predictions, none for a vector."""
        return {"vector": (), "columns": (4,), "shares": (4,), "pair": (2,)}.get(
            self.form, (5,)
        )

    def data(self, rng, n=40, dtype="float64"):
        """Return targets in the domain and raw predictions, none of them at a kink."""
        width = 1 if self.form == "pair" else 3
        raw = (width * rng.standard_normal((n, *self.columns))).astype(dtype)
        return self.targets(rng, n).astype(dtype), raw

    def targets(self, rng, n):
        """Return targets in the domain."""
        if self.loss.task == "ranking":
            y = rng.integers(0, 4, size=(n, 5)).astype(float)
            y[rng.random(size=y.shape) < 0.2] = np.nan
            return y
        if self.form == "shares":
            y = rng.dirichlet(np.ones(4), size=n)
            y[: n // 2] = np.eye(4)[rng.integers(0, 4, size=n // 2)]
            return y
        if self.loss.labels:
            return rng.integers(0, 4 if self.form == "columns" else 2, size=n)
        if self.loss.link == "log":
            low = 0.0 if self.loss.y_domain.contains(0.0) else 0.5
            return rng.poisson(2.0, size=n) + low
        return 3 * rng.standard_normal(n)


def _signs(f, y):
    """Return the columns of signs of class codes for one-vs-rest losses in PyTorch."""
    if f.ndim == 1:
        return 2.0 * y.to(f.dtype) - 1.0
    return 2.0 * F.one_hot(y.long(), f.shape[1]).to(f.dtype) - 1.0


def _torch_hinge(f, y):
    missing = torch.relu(1.0 - _signs(f, y) * f)
    return missing if f.ndim == 1 else missing.sum(1)


def _torch_squared_hinge(f, y):
    missing = torch.relu(1.0 - _signs(f, y) * f) ** 2
    return missing if f.ndim == 1 else missing.sum(1)


def _torch_focal(f, y):
    if f.ndim == 1:
        f = torch.stack([torch.zeros_like(f), f], 1)
    log_p = F.log_softmax(f, 1).gather(1, y.long()[:, None])[:, 0]
    return -((-torch.expm1(log_p)) ** 1.5) * log_p


def _torch_pinball(f, y):
    return torch.maximum(0.75 * (y - f), -0.25 * (y - f))


def _torch_pinballs(f, y):
    r = y[:, None] - f
    return torch.stack([0.25 * r[:, 0], -0.75 * r[:, 0]]).amax(0) + torch.stack(
        [0.75 * r[:, 1], -0.25 * r[:, 1]]
    ).amax(0)


def _torch_expectile(f, y):
    return torch.where(y < f, 0.25, 0.75) * (y - f) ** 2


def _torch_tweedie(f, y):
    mean = torch.exp(f)
    return (mean**0.3 - 1) / 0.3 - y * (mean**-0.7 - 1) / -0.7


def _torch_gaussian(f, y):
    return F.gaussian_nll_loss(
        f[:, 0], y, torch.exp(2 * f[:, 1]), full=True, eps=1e-30, reduction="none"
    )


def _torch_student(f, y):
    density = torch.distributions.StudentT(3.0, f[:, 0], torch.exp(f[:, 1]))
    return -density.log_prob(y)


def _torch_pairwise(f, y):
    values = []
    for scores, grades in zip(f, y, strict=True):
        terms = [
            torch.log1p(torch.exp(-0.7 * (scores[i] - scores[j])))
            for i in range(len(grades))
            for j in range(len(grades))
            if grades[i] > grades[j]
        ]
        total = 0.0 * torch.nan_to_num(scores).sum()
        values.append(torch.stack(terms).mean() if terms else total)
    return torch.stack(values) if values else 0.0 * f.sum(1)


def _torch_listnet(f, y):
    values = []
    for scores, grades in zip(f, y, strict=True):
        shown = ~torch.isnan(grades)
        first = F.softmax(grades[shown], 0)
        values.append(-(first * F.log_softmax(scores[shown], 0)).sum())
    return torch.stack(values) if values else 0.0 * f.sum(1)


CASES = {
    # ½ (1 - 3)² = 2.
    "squared_error": Case(
        losses.SquaredError(),
        [(1.0, 3.0, 2.0, 2.0, 1.0), (-1.0, -1.0, 0.0, 0.0, 1.0)],
        formula=lambda y, f: (y - f) ** 2 / 2,
        torch=lambda f, y: 0.5 * F.mse_loss(f, y, reduction="none"),
        sklearn=sklearn_loss.HalfSquaredError(),
    ),
    "absolute_error": Case(
        losses.AbsoluteError(),
        [(1.0, 3.0, 2.0, 1.0, 0.0), (1.0, -3.0, 4.0, -1.0, 0.0)],
        formula=lambda y, f: abs(y - f),
        torch=lambda f, y: F.l1_loss(f, y, reduction="none"),
        sklearn=sklearn_loss.AbsoluteError(),
    ),
    # |r| = 1 <= 1.5: ½; |r| = 4 > 1.5: 1.5 (4 - 0.75) = 4.875.
    "huber": Case(
        losses.Huber(delta=1.5),
        [(1.0, 2.0, 0.5, 1.0, 1.0), (1.0, -3.0, 4.875, -1.5, 0.0)],
        formula=lambda y, f: (
            (y - f) ** 2 / 2 if abs(y - f) <= 1.5 else 1.5 * (abs(y - f) - 0.75)
        ),
        torch=lambda f, y: F.huber_loss(f, y, reduction="none", delta=1.5),
        sklearn=sklearn_loss.HuberLoss(delta=1.5),
        hyper={"delta": 1.5},
        other=losses.Huber(delta=0.5),
    ),
    # 0.75 * 2 below the target, 0.25 * 2 above it.
    "quantile": Case(
        losses.Quantile(quantile=0.75),
        [(2.0, 0.0, 1.5, -0.75, 0.0), (0.0, 2.0, 0.5, 0.25, 0.0)],
        formula=lambda y, f: max(0.75 * (y - f), -0.25 * (y - f)),
        torch=_torch_pinball,
        sklearn=sklearn_loss.PinballLoss(quantile=0.75),
        hyper={"quantile": 0.75},
        other=losses.Quantile(quantile=0.2),
    ),
    # ¼ 2 below the target and ¼ 1 above it; ¾ 1 above it and ¾ 2 below it.
    "quantiles": Case(
        losses.Quantiles(quantiles=(0.25, 0.75)),
        [
            (2.0, [0.0, 3.0], 0.75, [-0.25, 0.25], [0.0, 0.0]),
            (0.0, [1.0, -2.0], 2.25, [0.75, -0.75], [0.0, 0.0]),
        ],
        torch=_torch_pinballs,
        form="pair",
        hyper={"quantiles": np.array([0.25, 0.75])},
        other=losses.Quantiles(quantiles=[0.1, 0.6]),
    ),
    # 0.75 * 2² below the target, 0.25 * 2² above it.
    "expectile": Case(
        losses.Expectile(expectile=0.75),
        [(2.0, 0.0, 3.0, -3.0, 1.5), (0.0, 2.0, 1.0, 1.0, 0.5)],
        formula=lambda y, f: (0.25 if y < f else 0.75) * (y - f) ** 2,
        torch=_torch_expectile,
        hyper={"expectile": 0.75},
        other=losses.Expectile(expectile=0.2),
    ),
    # mpmath, 30 digits: log cosh r, tanh r and sech² r at r = 0.5 and 2.
    "log_cosh": Case(
        losses.LogCosh(),
        [
            (0.0, 0.5, 0.120114506958277525, 0.462117157260009759, 0.78644773296592741),
            (
                2.0,
                0.0,
                1.32500274735786443,
                -0.964027580075816884,
                0.0706508248531644657,
            ),
        ],
        formula=lambda y, f: mp.log(mp.cosh(y - f)),
        torch=lambda f, y: torch.log(torch.cosh(f - y)),
    ),
    # e⁰ - 3 * 0 = 1; e² - 1 * 2.
    "poisson": Case(
        losses.Poisson(),
        [
            (3.0, 0.0, 1.0, -2.0, 1.0),
            (1.0, 2.0, 5.38905609893065023, 6.38905609893065023, 7.38905609893065023),
        ],
        formula=lambda y, f: mp.exp(f) - y * f,
        torch=lambda f, y: F.poisson_nll_loss(f, y, reduction="none"),
        sklearn=sklearn_loss.HalfPoissonLoss(),
        outside=(-1e-300, -1.0, np.nan, np.inf),
        inside=(0.0, 0.5, 1e300),
    ),
    # 0 + 3 e⁰ = 3; 2 + e⁻².
    "gamma": Case(
        losses.Gamma(),
        [
            (3.0, 0.0, 3.0, -2.0, 3.0),
            (1.0, 2.0, 2.13533528323661269, 0.864664716763387308, 0.135335283236612692),
        ],
        formula=lambda y, f: f + y * mp.exp(-f),
        torch=lambda f, y: f + y / torch.exp(f),
        sklearn=sklearn_loss.HalfGammaLoss(),
        outside=(0.0, -1.0, np.nan, np.inf),
        inside=(1e-300, 0.5, 1e300),
    ),
    # mpmath, 60 digits: (e^{0.3 f} - 1) / 0.3 + y (e^{-0.7 f} - 1) / 0.7 at 0 and 2.
    "tweedie": Case(
        losses.Tweedie(power=1.7),
        [
            (4.0, 0.0, 0.0, -3.0, 3.1),
            (1.0, 2.0, 1.66410594978970593, 1.57552183644890264, 0.71925351487627736),
        ],
        formula=lambda y, f: (
            (mp.exp((2 - mp.mpf(1.7)) * f) - 1) / (2 - mp.mpf(1.7))
            - y * (mp.exp((1 - mp.mpf(1.7)) * f) - 1) / (1 - mp.mpf(1.7))
        ),
        torch=_torch_tweedie,
        sklearn=sklearn_loss.HalfTweedieLoss(power=1.7),
        constant=lambda y: y / (1 - 1.7) - 1 / (2 - 1.7),
        outside=(-1e-300, -1.0, np.nan, np.inf),
        inside=(0.0, 0.5, 1e300),
        hyper={"power": 1.7},
        other=losses.Tweedie(power=1),
    ),
    # log 2 at even odds; mpmath, 30 digits: log(1 + e⁻²), -1 / (1 + e²) for raw = 2.
    "log_loss": Case(
        losses.LogLoss(),
        [
            (0, 0.0, 0.693147180559945309, 0.5, 0.25),
            (1, 2.0, 0.126928011042972496, -0.119202922022117556, 0.104993585403506517),
        ],
        formula=lambda y, f: mp.log(1 + mp.exp(-f if y == 1 else f)),
        torch=lambda f, y: F.binary_cross_entropy_with_logits(
            f, y.to(f.dtype), reduction="none"
        ),
        sklearn=sklearn_loss.HalfBinomialLoss(),
        outside=(-1.0, 0.5, 2.0, np.nan),
        inside=(0.0, 1.0),
    ),
    # mpmath, 60 digits: p^1.5 log(1 + e^f) with p = 1 / (1 + e^-f), and derivatives.
    "focal": Case(
        losses.Focal(gamma=1.5),
        [
            (0, 0.0, 0.245064535867136798, 0.36057509719698948, 0.399502991068361912),
            (
                1,
                2.0,
                0.00522381546557907931,
                -0.0118075658533151886,
                0.0255801237733485229,
            ),
        ],
        formula=lambda y, f: (
            (1 / (1 + mp.exp(f if y == 1 else -f))) ** mp.mpf(1.5)
            * mp.log(1 + mp.exp(-f if y == 1 else f))
        ),
        torch=_torch_focal,
        outside=(-1.0, 0.5, 2.0, np.nan),
        inside=(0.0, 1.0),
        hyper={"gamma": 1.5},
        other=losses.Focal(gamma=0.0),
        rtol=2e-13,  # exp of numbers up to 450, each rounded
        hand_rtol=1e-15,  # a power times a logarithm, each rounded
    ),
    "hinge": Case(
        losses.Hinge(),
        [(0, 0.5, 1.5, 1.0, 0.0), (1, 0.5, 0.5, -1.0, 0.0), (1, 2.0, 0.0, 0.0, 0.0)],
        formula=lambda y, f: max(0, 1 - (2 * y - 1) * f),
        torch=_torch_hinge,
        outside=(-1.0, 0.5, 2.0, np.nan),
        inside=(0.0, 1.0),
    ),
    "squared_hinge": Case(
        losses.SquaredHinge(),
        [(0, 0.5, 2.25, 3.0, 2.0), (1, 0.5, 0.25, -1.0, 2.0), (1, 2.0, 0.0, 0.0, 0.0)],
        formula=lambda y, f: max(0, 1 - (2 * y - 1) * f) ** 2,
        torch=_torch_squared_hinge,
        outside=(-1.0, 0.5, 2.0, np.nan),
        inside=(0.0, 1.0),
    ),
    # softmax(0, log 3) = (1, 3) / 4: ½ log 2 + ½ log(2 / 3), and log 4.
    "kl_div": Case(
        losses.KLDiv(),
        [
            (
                [0.5, 0.5],
                [0.0, np.log(3.0)],
                0.5 * np.log(4 / 3),
                [-0.25, 0.25],
                [3 / 16, 3 / 16],
            ),
            (
                [1.0, 0.0],
                [0.0, np.log(3.0)],
                np.log(4.0),
                [-0.75, 0.75],
                [3 / 16, 3 / 16],
            ),
        ],
        torch=lambda f, y: F.kl_div(F.log_softmax(f, 1), y, reduction="none").sum(1),
        form="shares",
    ),
    # ½ log 2π + ½, and with σ = 2, z = 1: log 2 more; d/dg = 1 - z², d²/dm² = 1 / σ².
    "gaussian_nll": Case(
        losses.GaussianNLL(),
        [
            (1.0, [0.0, 0.0], 1.41893853320467274, [-1.0, 0.0], [1.0, 2.0]),
            (1.0, [-1.0, np.log(2.0)], 2.11208571376461805, [-0.5, 0.0], [0.25, 2.0]),
        ],
        torch=_torch_gaussian,
        form="pair",
    ),
    # mpmath, 60 digits; by hand d/dm = -4 z / (3 + z²), d/dg = 1 - 4 z² / (3 + z²).
    "student_t_nll": Case(
        losses.StudentTNLL(df=3.0),
        [(1.0, [0.0, 0.0], 1.57625299452707156, [-1.0, 0.0], [0.5, 1.5])],
        torch=_torch_student,
        form="pair",
        hyper={"df": 3.0},
        other=losses.StudentTNLL(df=40),
    ),
    # Pairs (0, 1), (0, 2), (1, 2) of which 0.7 (f_i - f_j) is 0: log 2.
    "pairwise_logistic": Case(
        losses.PairwiseLogistic(sigma=0.7),
        [
            (
                [3.0, 2.0, 0.0, np.nan],
                [1.0, 1.0, 1.0, 5.0],
                np.log(2.0),
                [-0.7 / 3, 0.0, 0.7 / 3, 0.0],
                [0.49 / 6, 0.49 / 6, 0.49 / 6, 0.0],
            )
        ],
        torch=_torch_pairwise,
        form="query",
        hyper={"sigma": 0.7},
        other=losses.PairwiseLogistic(sigma=2.0),
    ),
    # Gains 3 and 1, discounts 1 and log 2 / log 3: the swap of the two costs
    # 2 (1 - D) / (3 + D).
    "lambdarank": Case(
        losses.LambdaRank(k=3, sigma=0.7),
        [
            (
                [2.0, 1.0, np.nan],
                [1.0, 1.0, 5.0],
                2
                * (1 - np.log(2) / np.log(3))
                / (3 + np.log(2) / np.log(3))
                * np.log(2),
                [
                    -0.7 * (1 - np.log(2) / np.log(3)) / (3 + np.log(2) / np.log(3)),
                    0.7 * (1 - np.log(2) / np.log(3)) / (3 + np.log(2) / np.log(3)),
                    0.0,
                ],
                [
                    0.245 * (1 - np.log(2) / np.log(3)) / (3 + np.log(2) / np.log(3)),
                    0.245 * (1 - np.log(2) / np.log(3)) / (3 + np.log(2) / np.log(3)),
                    0.0,
                ],
            )
        ],
        torch=lambda f, y: lambdarank_in_torch(f, y, k=3, sigma=0.7),
        form="query",
        hyper={"k": 3.0, "sigma": 0.7},
        other=losses.LambdaRank(sigma=2.0),
    ),
    # softmax(log 3, 0) = (3, 1) / 4 against (1, 1) / 2.
    "listnet": Case(
        losses.ListNet(),
        [
            (
                [np.log(3.0), 0.0, np.nan],
                [1.0, 1.0, 5.0],
                np.log(2.0),
                [-0.25, 0.25, 0.0],
                [0.25, 0.25, 0.0],
            )
        ],
        torch=_torch_listnet,
        form="query",
    ),
}
# softmax(0, log 2, log 5) = (1, 2, 5) / 8.
THREE = [0.0, np.log(2.0), np.log(5.0)]
# The second forms of the losses of class codes: a column per class.
COLUMNS = {
    "log_loss": Case(
        losses.LogLoss(),
        [
            (
                1,
                THREE,
                np.log(4.0),
                [1 / 8, -6 / 8, 5 / 8],
                [7 / 64, 12 / 64, 15 / 64],
            )
        ],
        formula=lambda y, f: mp.log(mp.fsum(mp.exp(x) for x in f)) - f[int(y)],
        torch=lambda f, y: F.cross_entropy(f, y.long(), reduction="none"),
        sklearn=sklearn_loss.HalfMultinomialLoss(n_classes=4),
        outside=(-1.0, 0.5, 3.0, np.nan),
        inside=(0.0, 2.0),
        form="columns",
    ),
    # mpmath, 60 digits: (3/4)^1.5 log 4, and the derivatives.
    "focal": Case(
        losses.Focal(gamma=1.5),
        [
            (
                1,
                THREE,
                0.900424600389707758,
                [0.137466419129147858, -0.824798514774887148, 0.68733209564573929],
                [0.12456971261314944, 0.360517080198944085, 0.36491443274577883],
            )
        ],
        torch=_torch_focal,
        outside=(-1.0, 0.5, 3.0, np.nan),
        inside=(0.0, 2.0),
        form="columns",
        hyper={"gamma": 1.5},
        other=losses.Focal(gamma=0.0),
    ),
    # 1.5 of the class, 1.25 and 0 of the others.
    "hinge": Case(
        losses.Hinge(),
        [(1, [0.25, -0.5, -3.0], 2.75, [1.0, -1.0, 0.0], [0.0, 0.0, 0.0])],
        torch=_torch_hinge,
        outside=(-1.0, 0.5, 3.0, np.nan),
        inside=(0.0, 2.0),
        form="columns",
    ),
    "squared_hinge": Case(
        losses.SquaredHinge(),
        [(1, [0.25, -0.5, -3.0], 3.8125, [2.5, -3.0, 0.0], [2.0, 2.0, 0.0])],
        torch=_torch_squared_hinge,
        outside=(-1.0, 0.5, 3.0, np.nan),
        inside=(0.0, 2.0),
        form="columns",
    ),
}
EVERY = [pytest.param(case, id=name) for name, case in CASES.items()]
EVERY += [pytest.param(case, id=f"{name}_columns") for name, case in COLUMNS.items()]


def those(condition):
    """Return the cases of which something holds, as parameters."""
    return [p for p in EVERY if condition(p.values[0])]


def values_of(loss, y, raw):
    return loss(y, raw).numpy()


def gradient_of(loss, y, raw):
    return skgrad.grad(lambda f: loss(y, f).sum())(skgrad.tensor(raw)).numpy()


def second_of(loss, y, raw):
    """Return the diagonal of the Hessian with respect to the raw predictions."""
    raw = np.asarray(raw)
    full = skgrad.hessian(lambda f: loss(y, f).sum())(skgrad.tensor(raw)).numpy()
    return np.diag(full.reshape(raw.size, raw.size)).reshape(raw.shape)
