"""An architecture of your own: one class, behind fit and predict.

A wide-and-deep network: a linear model plus a network with dropout, in one module. Its
arguments are parameters of the estimator (``module__hidden``), so they can be searched
like any other. On scikit-learn's digits (64 pixels, 10 classes).
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

import skgrad
from skgrad import ModuleClassifier, nn


class WideAndDeep(nn.Module):
    """A linear path beside a deep one."""

    def __init__(self, n_features, n_outputs, hidden=64, dropout=0.2):
        super().__init__()
        self.wide = nn.Linear(n_features, n_outputs)
        self.deep_1 = nn.Linear(n_features, hidden)
        self.deep_2 = nn.Linear(hidden, n_outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        hidden = skgrad.relu(self.deep_1(x))
        return self.wide(x) + self.deep_2(self.dropout(hidden))


def main():
    X, y = load_digits(return_X_y=True)
    split = train_test_split(
        X.astype(np.float32), y, test_size=0.25, stratify=y, random_state=0
    )
    X_train, X_test, y_train, y_test = split

    model = ModuleClassifier(
        module=WideAndDeep,
        optimizer="adamw",
        learning_rate=0.005,
        schedule="cosine",
        max_iter=15,
        tol=None,
        random_state=0,
    )
    grid = {"module__hidden": [32, 128], "module__dropout": [0.1, 0.3]}
    search = GridSearchCV(model, grid, cv=3, n_jobs=2).fit(X_train, y_train)

    best = search.best_estimator_
    print(best.module_)
    print(f"\nBest parameters: {search.best_params_}")
    print(f"Accuracy on held-out digits: {best.score(X_test, y_test):.3f}")
    print(f"Computed in {best.predict_proba(X_test).dtype}")


if __name__ == "__main__":
    main()
