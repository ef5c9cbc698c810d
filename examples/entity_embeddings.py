"""Categories: a table of numbers and categories, with a learned vector for each.

The prices of 6000 diamonds (a sample of ggplot2's data): six measurements, and cut,
colour and clarity. The network looks up a vector for each category; a code is kept for
categories that were not there in the fit. Beside it ridge regression on indicator
columns, and boosted trees, which know categories themselves. The target is the
logarithm of the price; scores are R².
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

import skgrad
from skgrad import ModuleRegressor, nn

DATA = Path(__file__).parent / "data" / "diamonds.csv"
CATEGORIES = ["cut", "color", "clarity"]
UNKNOWN = -1


class EntityEmbeddings(nn.Module):
    """A vector for each category, beside the numbers, into a network."""

    def __init__(self, n_features, n_outputs, sizes, width=4, hidden=64):
        super().__init__()
        # One vector more, the last: that of categories not seen in the fit (code -1).
        self.tables = nn.ModuleList(nn.Embedding(n + 1, width) for n in sizes)
        n_inputs = n_features - len(sizes) + width * len(sizes)
        self.network = nn.Sequential(
            nn.Linear(n_inputs, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, n_outputs),
        )

    def forward(self, x):
        parts = []
        for i, table in enumerate(self.tables):
            codes = skgrad.astype(x[:, i], "int64")
            codes = skgrad.where(codes == UNKNOWN, table.num_embeddings - 1, codes)
            parts.append(table(codes))
        parts.append(x[:, len(self.tables) :])
        return self.network(skgrad.concatenate(parts, axis=1))


def main():
    table = pd.read_csv(DATA)
    X, y = table.drop(columns="price"), np.log(table["price"])
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, random_state=0
    )
    numbers = [name for name in X if name not in CATEGORIES]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=UNKNOWN)
    # Codes must stay codes: numbers and targets are scaled here, not inside.
    coded = make_column_transformer((codes, CATEGORIES), (StandardScaler(), numbers))
    network = ModuleRegressor(
        module=EntityEmbeddings,
        module_params={"sizes": tuple(X_train[name].nunique() for name in CATEGORIES)},
        standardize=False,
        optimizer="adamw",
        learning_rate=0.01,
        schedule="cosine",
        batch_size=64,
        max_iter=50,
        tol=None,
        random_state=0,
    )
    models = {
        "ridge, indicator columns": make_pipeline(
            make_column_transformer(
                (OneHotEncoder(), CATEGORIES), (StandardScaler(), numbers)
            ),
            RidgeCV(np.logspace(-3, 3, 13)),
        ),
        "boosted trees": HistGradientBoostingRegressor(
            categorical_features=CATEGORIES, random_state=0
        ),
        "entity embeddings": make_pipeline(
            coded, TransformedTargetRegressor(network, transformer=StandardScaler())
        ),
    }
    print("R² of log prices of held-out diamonds")
    for name, model in models.items():
        print(f"{name:26}{model.fit(X_train, y_train).score(X_test, y_test):.4f}")

    strange = X_test.head(1).assign(color="turquoise")
    (price,) = np.exp(models["entity embeddings"].predict(strange))
    print(f"\nA colour that is not in the table is no error: {price:.0f} dollars")


if __name__ == "__main__":
    main()
