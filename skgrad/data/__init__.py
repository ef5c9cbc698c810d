"""Datasets and the loader that cuts them into minibatches."""

from skgrad.data.dataset import ArrayDataset, Dataset
from skgrad.data.loader import DataLoader

__all__ = ["ArrayDataset", "DataLoader", "Dataset"]
