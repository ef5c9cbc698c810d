"""Linear regression by plain gradient descent, beside the closed form.

The textbook example: minimise the mean squared error from zero with learning rate 0.1
for 200 epochs, every epoch one step on all rows. Once as a hand-written loop, once as
an estimator: both take the same steps and end, to four decimals, where the closed form
is. Gradient descent is not the smart way to fit least squares; it is the way that works
for every other loss as well.

Prints the table of parameters and saves the loss curve next to this file.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import skgrad
from skgrad import GradientLinearRegressor, nn, optim

HERE = Path(__file__).parent
FIGURE = Path(__file__).with_suffix(".png")
LEARNING_RATE = 0.1
EPOCHS = 200


def squared_residual(y_true, raw_prediction):
    """The squared error without the factor ½, so that its mean is the MSE."""
    return (y_true - raw_prediction) ** 2


def closed_form(X, y):
    design = np.column_stack([np.ones(len(y)), X])
    return np.linalg.lstsq(design, y)[0]


def by_hand(X, y):
    """Write the loop: forward, backward, step."""
    model = nn.Linear(2, 1)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    optimizer = optim.SGD(model.parameters(), lr=LEARNING_RATE)
    inputs, targets = skgrad.tensor(X), skgrad.tensor(y)
    losses = []
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        prediction = model(inputs)[:, 0]
        loss = squared_residual(targets, prediction).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.append(model.bias.numpy(), model.weight.numpy()), losses


def by_estimator(X, y):
    """Leave the loop to the estimator."""
    model = GradientLinearRegressor(
        loss=squared_residual,
        optimizer="sgd",
        learning_rate=LEARNING_RATE,
        batch_size=None,
        max_iter=EPOCHS,
        tol=None,
        standardize=False,
    )
    model.fit(X, y)
    return np.append(model.intercept_, model.coef_), model.loss_curve_


def print_table(exact, descent):
    print(f"{'parameter':12}{'closed form':>14}{'gradient descent':>20}")
    for name, a, b in zip(("intercept", "beta1", "beta2"), exact, descent, strict=True):
        print(f"{name:12}{a:14.4f}{b:20.4f}")


def draw(losses, optimum):
    figure, axis = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axis.plot(np.arange(1, EPOCHS + 1), losses, label="gradient descent")
    axis.axhline(optimum, color="black", linestyle="--", label="closed form")
    axis.set(xlabel="epoch", ylabel="mean squared error", ylim=(0, None))
    axis.legend(frameon=False)
    figure.savefig(FIGURE, dpi=150)


def main():
    data = np.loadtxt(HERE / "data" / "gd_demo.csv", delimiter=",", skiprows=1)
    X, y = data[:, :2], data[:, 2]
    exact = closed_form(X, y)
    optimum = np.mean((y - exact[0] - X @ exact[1:]) ** 2)

    hand, losses = by_hand(X, y)
    print("A hand-written loop")
    print_table(exact, hand)

    estimator, estimator_losses = by_estimator(X, y)
    print("\nAn estimator")
    print_table(exact, estimator)

    print(f"\nLargest difference of the two: {abs(hand - estimator).max():.1e}")
    print(f"Loss at the end {losses[-1]:.6f}, of the closed form {optimum:.6f}")
    draw(estimator_losses, optimum)
    print(f"Loss curve: {FIGURE}")


if __name__ == "__main__":
    main()
