"""Quantile regression: lines through the quantiles, their errors, and intervals.

Engel's food expenditure of 235 Belgian households (1857) is the classic of quantile
regression: the more a household earns, the more the shares it spends on food differ.
Least squares says one number of that, the mean; nine quantiles show the whole fan. The
coefficients are exact solutions of the linear programme, with standard errors.

Then prices of 6000 diamonds: intervals by a network whose quantiles cannot cross,
widened or narrowed on rows it has not seen (conformal prediction), so that nine prices
in ten lie inside, beside intervals of linear quantile regression.

Saves one figure next to this file.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from skgrad import MLPQuantileRegressor, QuantileRegressor

DATA = Path(__file__).parent / "data"
FIGURE = Path(__file__).with_suffix(".png")
LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
BLUE, ORANGE, INK = "#0072B2", "#D55E00", "#333333"


def engel():
    """Return income and food expenditure, in Belgian francs a year."""
    data = pd.read_csv(DATA / "engel.csv")
    return data[["income"]], data["foodexp"]


def median_regression(X, y):
    """The coefficients that Koenker and Bassett published in 1982."""
    model = QuantileRegressor(quantile=0.5).fit(X, y)
    found = model.intercept_, model.coef_[0]
    assert np.allclose(found, [81.48, 0.5602], rtol=0, atol=[0.005, 0.00005])
    print("Median of food expenditure: {:.2f} + {:.4f} income".format(*found))
    print(f"Duality gap: {abs(model.duality_gap_):.0e}")
    fewer = X["income"] < X["income"].max()
    for name, line in (("median", QuantileRegressor()), ("mean", LinearRegression())):
        slope = line.fit(X, y).coef_[0]
        without = line.fit(X[fewer], y[fewer]).coef_[0]
        print(f"Slope of the {name}: {slope:.3f}, without the richest: {without:.3f}")
    print()
    # The data are passed again: a fitted model does not keep them.
    print(model.summary(X, y, method="hendricks_koenker"), end="\n\n")


def fan_chart(X, y, axes):
    """Nine lines in one fit, and how their slope grows beside that of the mean."""
    model = QuantileRegressor(quantile=LEVELS).fit(X, y)
    mean = LinearRegression().fit(X, y)
    grid = pd.DataFrame({"income": np.linspace(X["income"].min(), 3000, 200)})
    lines = model.predict(grid)

    left, right = axes
    left.scatter(X["income"], y, s=16, color=INK, alpha=0.45, linewidths=0, zorder=3)
    for outer in range(4):
        low, high = lines[:, outer], lines[:, -1 - outer]
        left.fill_between(grid["income"], low, high, color=BLUE, alpha=0.12, lw=0)
    left.plot(grid["income"], lines, color=BLUE, lw=0.8)
    left.plot(grid["income"], lines[:, 4], color=BLUE, lw=2.4)
    left.plot(grid["income"], mean.predict(grid), color=ORANGE, lw=2, ls="--")
    for level, end in zip(LEVELS, lines[-1], strict=True):
        left.annotate(
            f"{level:g}",
            (3000, end),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=BLUE,
            fontweight="bold" if level == 0.5 else "normal",
        )
    left.annotate(
        "mean (least squares)",
        (2300, mean.predict(grid)[np.argmin(abs(grid["income"] - 2300))]),
        xytext=(2050, 560),
        color=ORANGE,
        arrowprops={"arrowstyle": "-", "color": ORANGE, "lw": 0.8},
    )
    hidden = (X["income"] > 3000).sum()
    left.text(2990, 30, f"{hidden} richer household not shown", ha="right", color=INK)
    left.set(
        xlabel="Income (francs a year)",
        ylabel="Food expenditure (francs a year)",
        title="Nine quantiles: the fan opens with income",
        xlim=(X["income"].min(), 3000),
        ylim=(0, lines.max() * 1.02),
    )

    summary = model.summary(X, y, method="hendricks_koenker", level=0.9)
    slope, (low, high) = summary.coef[:, 1], summary.intervals[:, 1].T
    right.fill_between(LEVELS, low, high, color=BLUE, alpha=0.18, lw=0)
    right.plot(LEVELS, slope, "o-", color=BLUE, lw=2)
    right.axhline(mean.coef_[0], color=ORANGE, lw=2, ls="--")
    right.annotate(
        "least squares",
        (0.9, mean.coef_[0]),
        xytext=(0, -14),
        textcoords="offset points",
        ha="right",
        color=ORANGE,
    )
    right.set(
        xlabel="Quantile",
        ylabel="Francs spent on food per franc earned",
        title="Slopes, with 90 % confidence intervals",
        xticks=LEVELS,
    )
    print(
        "Slope at the quantiles 0.1 and 0.9: {:.3f} and {:.3f}".format(*slope[[0, -1]])
    )
    print(f"Slope of least squares: {mean.coef_[0]:.3f}\n")


def intervals():
    """Return 90 % intervals of prices by two models, and the prices of a test set."""
    data = pd.read_csv(DATA / "diamonds.csv").select_dtypes("number")
    X, y = data.drop(columns="price"), data["price"]
    train_X, test_X, train_y, test_y = train_test_split(
        X, y, test_size=0.3, random_state=0
    )
    linear = QuantileRegressor(quantile=[0.05, 0.95]).fit(train_X, train_y)
    network = MLPQuantileRegressor(
        quantile=(0.05, 0.5, 0.95), conformalize=True, random_state=0
    ).fit(train_X, train_y)
    found = {
        "linear": linear.predict(test_X),
        "network, conformal": network.predict_interval(test_X, coverage=0.9),
    }
    return found, test_X["carat"], test_y


def report_intervals():
    """The share of prices inside, by weight of the diamond too, and the width."""
    found, carat, price = intervals()
    third = np.searchsorted(np.quantile(carat, [1 / 3, 2 / 3]), carat)
    heads = ("inside", "light", "middle", "heavy", "median width")
    print(f"{'90 % intervals of prices':26}" + "".join(f"{head:>14}" for head in heads))
    for name, ends in found.items():
        low, high = ends.T
        inside = (low <= price) & (price <= high)
        shares = [inside.mean(), *(inside[third == k].mean() for k in range(3))]
        cells = "".join(f"{share:14.3f}" for share in shares)
        print(f"{name:26}{cells}{np.median(high - low):12.0f} $")


def main():
    X, y = engel()
    median_regression(X, y)
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
    plt.rcParams.update({"axes.titlelocation": "left", "font.size": 11})
    figure, axes = plt.subplots(
        1, 2, figsize=(13, 5.2), width_ratios=(3, 2), layout="constrained"
    )
    fan_chart(X, y, axes)
    figure.savefig(FIGURE, dpi=90)
    report_intervals()
    print(f"Figure: {FIGURE}")


if __name__ == "__main__":
    main()
