"""Learning to rank: the order of the documents of a query, not their grades.

Scores are NDCG@10 of queries that no model has seen, first of diamonds: a query is all
stones of one weight, to be ordered by the class of their price, from cut, color,
clarity and proportions. Large stones have worse grades of quality and cost more, so
that a regression of the price classes learns the opposite of what quality is worth. A
ranker compares stones of one query only, and need not know their weight. (A regression
that is told the weight has most of what a query is, and does about as well.)

Then simulated queries with 5 to 25 documents each, graded 0 to 4. Some queries are easy
and all their grades high, which no feature says: to a regression of the grades that is
noise. What makes a good document is not linear.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import GroupShuffleSplit

from skgrad import (
    GradientLinearRanker,
    GradientLinearRegressor,
    MLPRanker,
    MLPRegressor,
)
from skgrad.estimators.ranking_metrics import mean_ndcg

DATA = Path(__file__).parent / "data" / "diamonds.csv"
GRADES = {
    "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
    "color": list("JIHGFED"),
    "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
}
NETWORK = {
    "hidden_layer_sizes": (32, 32),
    "activation": "silu",
    "learning_rate": 0.01,
    "schedule": "cosine",
    "max_iter": 60,
    "tol": None,
    "random_state": 0,
}


def diamonds():
    """Return the quality of stones, their price class, weight and query."""
    data = pd.read_csv(DATA)
    quality = data[["depth", "table"]].copy()
    for name, order in GRADES.items():
        quality[name] = data[name].map(order.index)
    price_class = np.digitize(data["price"], [500, 1000, 2000, 3500, 6000, 10_000])
    qid = (100 * data["carat"]).round().astype(int).to_numpy()
    many = np.bincount(qid)[qid] >= 8  # stones of that weight
    return quality[many], price_class[many], data["carat"][many], qid[many]


def simulated(n_queries, rng):
    """Return the rows of all documents, their grades and the query of each."""
    X, y, qid = [], [], []
    for query in range(n_queries):
        n = rng.integers(5, 26)
        own = rng.normal(size=(n, 7))
        merit = own[:, 0] + np.tanh(2 * own[:, 1] * own[:, 2]) + 0.5 * np.abs(own[:, 3])
        level = merit + rng.normal(scale=3.0) + rng.normal(scale=0.5, size=n)
        X.append(own)
        y.append(np.digitize(level, [-3.0, -1.0, 1.0, 3.0]))
        qid.append(np.full(n, query))
    return np.vstack(X).astype("float32"), np.concatenate(y), np.concatenate(qid)


def compare(train, test, models):
    """Print the scores of regressions of the grades, and of rankers."""
    X, y, qid = train
    X_new, y_new, qid_new = test
    for name, model in models.items():
        ranks = hasattr(model, "ndcg_at")
        model.fit(X, y, qid=qid) if ranks else model.fit(X, y)
        score = mean_ndcg(y_new, model.predict(X_new), qid_new, k=10)
        print(f"{name:36}{score:.3f}")


def main():
    X, y, carat, qid = diamonds()
    train, test = next(
        GroupShuffleSplit(test_size=0.3, random_state=0).split(X, y, qid)
    )
    parts = [(X.iloc[rows], y[rows], qid[rows]) for rows in (train, test)]
    print(f"Diamonds: {len(np.unique(qid[test]))} new weights")
    models = {
        "linear regression, grades": GradientLinearRegressor(),
        "boosted trees, grades": HistGradientBoostingRegressor(random_state=0),
        "linear ranker": GradientLinearRanker(),
        "network ranker": MLPRanker(**NETWORK),
    }
    compare(*parts, models)
    with_carat = [(x.assign(carat=carat[x.index]), *rest) for x, *rest in parts]
    trees = HistGradientBoostingRegressor(random_state=0)
    compare(*with_carat, {"boosted trees, grades, told carat": trees})
    print("What quality is worth, by signs of coefficients")
    for name in ("linear regression, grades", "linear ranker"):
        coef = pd.Series(models[name].coef_, X.columns)[list(GRADES)]
        signs = ", ".join(f"{c} {'+' if v > 0 else '-'}" for c, v in coef.items())
        print(f"{name:36}{signs}")

    rng = np.random.default_rng(0)
    parts = simulated(150, rng), simulated(300, rng)
    print(f"\nSimulated: {parts[1][2].max() + 1} new queries")
    losses = ("pairwise_logistic", "listnet", "lambdarank")
    models = {
        "boosted trees, grades": HistGradientBoostingRegressor(random_state=0),
        "network, grades": MLPRegressor(**NETWORK),
        "linear ranker": GradientLinearRanker(),
        **{f"network, {loss}": MLPRanker(loss=loss, **NETWORK) for loss in losses},
    }
    compare(*parts, models)


if __name__ == "__main__":
    main()
