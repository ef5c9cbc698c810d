"""A loss of your own: one Python function, its derivatives come for free.

A shop orders a perishable good each day. A unit too many costs 1, a unit too few costs
4 in lost sales, and large misses hurt more than in proportion. No estimator ships that
loss. Written as a function it works in a linear model (with Newton's method, from
second derivatives nobody wrote down), in a network, with sample weights and in a grid
search.
"""

import numpy as np
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, train_test_split

import skgrad
from skgrad import GradientLinearRegressor, MLPRegressor


def order_cost(y_true, raw_prediction):
    """Cost of a day in the units of the demand: smooth, asymmetric, per sample."""
    shortage = y_true - raw_prediction
    unit_cost = skgrad.where(shortage > 0, 4.0, 1.0)
    return unit_cost * (skgrad.sqrt(1 + shortage**2) - 1)


def mean_cost(y_true, y_pred):
    return float(order_cost(skgrad.tensor(y_true), skgrad.tensor(y_pred)).mean())


def demand(n_days, rng):
    """Simulate demand: weather and weekday, noisier on warm days."""
    warmth = rng.uniform(0, 1, n_days)
    weekend = rng.integers(0, 2, n_days)
    noise = (0.5 + 2 * warmth) * rng.normal(size=n_days)
    sales = 10 + 8 * warmth**2 + 5 * weekend + noise
    return np.column_stack([warmth, weekend]), sales


def main():
    X, y = demand(4000, np.random.default_rng(0))
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

    models = {
        "linear, squared error": GradientLinearRegressor(),
        "linear, order cost": GradientLinearRegressor(loss=order_cost),
        # In a network the loss would see standardised targets; these are in units.
        "network, order cost": MLPRegressor(
            loss=order_cost,
            standardize=False,
            hidden_layer_sizes=(32,),
            learning_rate=0.01,
            early_stopping=True,
            random_state=0,
        ),
    }
    print(f"{'model':26}{'mean cost per day':>20}")
    for name, model in models.items():
        model.fit(X_train, y_train)
        print(f"{name:26}{mean_cost(y_test, model.predict(X_test)):20.3f}")

    search = GridSearchCV(
        GradientLinearRegressor(loss=order_cost),
        {"alpha": [0.0, 0.01, 0.1, 1.0]},
        scoring=make_scorer(mean_cost, greater_is_better=False),
    )
    search.fit(X_train, y_train)
    print(f"\nBest penalty by cross-validated cost: {search.best_params_}")


if __name__ == "__main__":
    main()
