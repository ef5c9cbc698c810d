"""Datasets, samplers, and the loader that makes minibatches of them."""

from skgrad.data.dataset import ArrayDataset, Dataset, SequenceDataset
from skgrad.data.loader import DataLoader
from skgrad.data.padding import (
    PaddedGroups,
    pad_collate,
    pad_groups,
    pad_sequences,
)
from skgrad.data.samplers import StratifiedBatchSampler, WeightedRandomSampler

__all__ = [
    "ArrayDataset",
    "DataLoader",
    "Dataset",
    "PaddedGroups",
    "SequenceDataset",
    "StratifiedBatchSampler",
    "WeightedRandomSampler",
    "pad_collate",
    "pad_groups",
    "pad_sequences",
]
