"""Images: a convolutional network on scikit-learn's digits, held-out accuracy.

Two convolutions with batch normalisation, beside logistic regression and a support
vector machine on the same pixels. 1797 images of 8 x 8, 10 classes.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skgrad import ModuleClassifier, nn

SIZE = 8


class Convolutions(nn.Module):
    """Filters of 3 x 3, twice; each time the image is halved."""

    def __init__(self, n_features, n_outputs, width=16, dropout=0.3):
        super().__init__()
        self.layers = nn.Sequential(
            self.block(1, width),
            self.block(width, 2 * width),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(2 * width * (SIZE // 4) ** 2, n_outputs),
        )

    @staticmethod
    def block(n_in, n_out):
        return nn.Sequential(
            nn.Conv2d(n_in, n_out, kernel_size=3, padding="same"),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )

    def forward(self, x):
        return self.layers(x.reshape((-1, 1, SIZE, SIZE)))


def main():
    X, y = load_digits(return_X_y=True)
    split = train_test_split(
        X.astype(np.float32), y, test_size=0.3, stratify=y, random_state=0
    )
    X_train, X_test, y_train, y_test = split
    models = {
        "LogisticRegression": make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=1000)
        ),
        "SVC": make_pipeline(StandardScaler(), SVC(C=10.0)),
        "convolutional network": ModuleClassifier(
            module=Convolutions,
            optimizer="adamw",
            learning_rate=0.005,
            schedule="cosine",
            batch_size=64,
            max_iter=30,
            tol=None,
            random_state=0,
        ),
    }
    print(f"Accuracy on {len(y_test)} held-out digits")
    for name, model in models.items():
        accuracy = model.fit(X_train, y_train).score(X_test, y_test)
        print(f"{name:26}{accuracy:.4f}")


if __name__ == "__main__":
    main()
