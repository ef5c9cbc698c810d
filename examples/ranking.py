"""Learning to rank: the order of the documents of a query, not their grades.

Simulated queries with 5 to 25 documents each, graded 0 to 4. Some queries are easy and
all their grades high, which no feature says: to a regression of the grades that is
noise, while a ranking loss compares documents of one query only. It is fitted with a
network in the compiled loop, `skgrad.train`. Scores are NDCG@10 of new queries.
"""

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import ndcg_score
from sklearn.preprocessing import StandardScaler

import skgrad
from skgrad import MLPRegressor, losses, nn, optim, train
from skgrad.data import pad_groups

N_FEATURES = 7


def simulated(n_queries, rng):
    """Return the rows of all documents, their grades and the query of each."""
    X, y, qid = [], [], []
    for query in range(n_queries):
        n = rng.integers(5, 26)
        own = rng.normal(size=(n, N_FEATURES))
        merit = own[:, 0] + np.tanh(2 * own[:, 1] * own[:, 2]) + 0.5 * np.abs(own[:, 3])
        level = merit + rng.normal(scale=3.0) + rng.normal(scale=0.5, size=n)
        X.append(own)
        y.append(np.digitize(level, [-3.0, -1.0, 1.0, 3.0]))
        qid.append(np.full(n, query))
    return np.vstack(X).astype("float32"), np.concatenate(y), np.concatenate(qid)


class Scorer(nn.Module):
    """One score per document, by the same network for all."""

    def __init__(self, hidden=32):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(N_FEATURES, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, x):  # (n_queries, n_documents, n_features)
        return self.layers(x)[..., 0]


def fit_ranker(loss, X, y, qid):
    """Return a function that scores rows, fitted to the groups."""
    padded = pad_groups(X, y, qid)
    n_queries, n_documents = padded.y.shape
    with skgrad.random_seed(0), nn.default_dtype("float32"):
        model = Scorer()
    objective = train.Objective(model, loss, n_documents)
    fit = train.fit_stochastic(
        objective,
        optim.Adam(),
        optim.Cosine(),
        train.Data(padded.X, padded.y, np.ones(n_queries, "float32")),
        train.Frame.identity(padded.X.shape[1:], "float32"),
        train.Settings(learning_rate=0.01, batch_size=32, max_iter=60, tol=None),
    )
    objective.store(fit.params, fit.state.state["buffers"])

    def score(X, qid):
        padded = pad_groups(X, np.zeros(len(X)), qid)
        return padded.unpad(model(padded.X).numpy())

    return score


def mean_ndcg(y, scores, qid):
    """Return the mean NDCG@10 over the queries whose grades differ."""
    queries = [qid == query for query in np.unique(qid)]
    return np.mean(
        [ndcg_score([y[q]], [scores[q]], k=10) for q in queries if np.ptp(y[q])]
    )


def main():
    rng = np.random.default_rng(0)
    X, y, qid = simulated(150, rng)
    X_new, y_new, qid_new = simulated(300, rng)
    scaler = StandardScaler().fit(X)
    X, X_new = scaler.transform(X), scaler.transform(X_new)

    print(f"NDCG@10 of {qid_new.max() + 1} new queries")
    print(
        f"{'a random order':28}{mean_ndcg(y_new, rng.random(len(y_new)), qid_new):.3f}"
    )
    pointwise = {
        "boosted trees, grades": HistGradientBoostingRegressor(random_state=0),
        "network, grades": MLPRegressor(
            hidden_layer_sizes=(32, 32),
            activation="silu",
            learning_rate=0.01,
            schedule="cosine",
            max_iter=60,
            tol=None,
            random_state=0,
        ),
    }
    for name, model in pointwise.items():
        scores = model.fit(X, y).predict(X_new)
        print(f"{name:28}{mean_ndcg(y_new, scores, qid_new):.3f}")
    listwise = (losses.PairwiseLogistic(), losses.ListNet(), losses.LambdaRank(k=10))
    for loss in listwise:
        scores = fit_ranker(loss, X, y, qid)(X_new, qid_new)
        print(f"{f'network, {loss.name}':28}{mean_ndcg(y_new, scores, qid_new):.3f}")


if __name__ == "__main__":
    main()
