"""NDCG and LambdaRank as their definitions read, document by document."""

import itertools
import math

import numpy as np
import torch


def dcg(grades, k):
    """Return the discounted cumulated gain of grades in the order they are shown."""
    gains = [(2.0**g - 1) / math.log2(2 + i) for i, g in enumerate(grades)]
    return sum(gains[:k])


def swap_costs(scores, grades, k=None):
    """Return |ΔNDCG@k| of a swap of each two documents, by swapping them."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    rank = {document: position for position, document in enumerate(order)}
    shown = [grades[i] for i in order]
    best = dcg(sorted(grades, reverse=True), k)
    costs = np.zeros((len(scores), len(scores)))
    for i, j in itertools.permutations(range(len(scores)), 2):
        swapped = list(shown)
        swapped[rank[i]], swapped[rank[j]] = grades[j], grades[i]
        costs[i, j] = abs(dcg(swapped, k) - dcg(shown, k)) / best if best else 0.0
    return costs


def lambdarank_in_torch(f, y, k=None, sigma=1.0):
    """Return LambdaRank's value per query; the costs of swaps are constants."""
    values = []
    for scores, grades in zip(f, y.double().numpy(), strict=True):
        shown = np.flatnonzero(~np.isnan(grades))
        known = scores.detach().double().numpy()[shown].tolist()
        costs = swap_costs(known, grades[shown].tolist(), k)
        value = 0.0 * torch.nan_to_num(scores).sum()
        for a, b in itertools.permutations(range(len(shown)), 2):
            i, j = shown[a], shown[b]
            if grades[i] > grades[j]:
                margin = scores[i] - scores[j]
                value = value + costs[a, b] * torch.log1p(torch.exp(-sigma * margin))
        values.append(value)
    return torch.stack(values) if values else 0.0 * f.sum(1)
