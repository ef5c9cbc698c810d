"""Layers of random sizes and settings on inputs of random shapes, against PyTorch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.layers import Row, T
from nn.test_torch import compare, results_of

from skgrad import nn

small = st.integers(1, 4)
flags = st.booleans()


@st.composite
def convolutions(draw, d):
    groups = draw(st.integers(1, 3))
    channels = [groups * draw(st.integers(1, 2)) for _ in range(2)]
    sizes = tuple(draw(st.integers(1, 3)) for _ in range(d))
    options = {
        "stride": tuple(draw(st.integers(1, 3)) for _ in range(d)),
        "padding": tuple(draw(st.integers(0, 2)) for _ in range(d)),
        "dilation": tuple(draw(st.integers(1, 2)) for _ in range(d)),
        "groups": groups,
        "bias": draw(flags),
    }
    reach = [k * gap for k, gap in zip(sizes, options["dilation"], strict=True)]
    extents = [r + draw(st.integers(0, 4)) for r in reach]
    ours, theirs = (getattr(m, f"Conv{d}d") for m in (nn, T))
    shape = (draw(small), channels[0], *extents)
    return Row(
        lambda: ours(*channels, sizes, **options),
        lambda: theirs(*channels, sizes, **options),
        (shape,),
    )


@st.composite
def poolings(draw, d, kind):
    sizes = tuple(draw(st.integers(1, 4)) for _ in range(d))
    options = {
        "stride": draw(
            st.none() | st.just(tuple(draw(st.integers(1, 3)) for _ in sizes))
        ),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in sizes),
    }
    if kind == "Avg":
        options["count_include_pad"] = draw(flags)
    shape = (draw(small), draw(small), *(k + draw(st.integers(0, 5)) for k in sizes))
    ours, theirs = (getattr(m, f"{kind}Pool{d}d") for m in (nn, T))
    return Row(
        lambda: ours(sizes, **options), lambda: theirs(sizes, **options), (shape,)
    )


@st.composite
def normalisations(draw):
    channels, n = draw(small), draw(st.integers(2, 6))
    rest = tuple(draw(st.lists(small, max_size=2)))
    eps = draw(st.sampled_from([1e-5, 1e-2]))
    kind = draw(st.sampled_from(["BatchNorm", "LayerNorm", "RMSNorm"]))
    if kind == "BatchNorm":
        name = "BatchNorm2d" if len(rest) == 2 else "BatchNorm1d"
        options = {
            "eps": eps,
            "momentum": draw(st.none() | st.floats(0, 1)),
            "affine": draw(flags),
        }
        size, shape = channels, (n, channels, *rest)
    else:
        name, options = kind, {"eps": eps, "elementwise_affine": draw(flags)}
        size = (channels, *rest)
        shape = (n, *size)
    ours, theirs = getattr(nn, name), getattr(T, name)
    return Row(lambda: ours(size, **options), lambda: theirs(size, **options), (shape,))


@st.composite
def embeddings(draw):
    codes, width = draw(st.integers(1, 7)), draw(small)
    padding = draw(st.none() | st.integers(-codes, codes - 1))
    shape = tuple(draw(st.lists(small, min_size=1, max_size=3)))
    return Row(
        lambda: nn.Embedding(codes, width, padding),
        lambda: T.Embedding(codes, width, padding),
        (shape,),
        integers=codes,
    )


@st.composite
def attentions(draw):
    heads, own, n = draw(st.integers(1, 3)), draw(small), draw(small)
    lengths = draw(small), draw(small)
    options = {"bias": draw(flags)}
    shapes = tuple((n, length, heads * own) for length in lengths)
    return Row(
        lambda: nn.MultiheadAttention(heads * own, heads, **options),
        lambda: T.MultiheadAttention(heads * own, heads, batch_first=True, **options),
        shapes,
        lambda layer, x, y: layer(x, y, y),
    )


@st.composite
def transformers(draw):
    heads, own = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    options = {
        "dim_feedforward": draw(small),
        "dropout": 0.0,
        "activation": draw(st.sampled_from(["relu", "gelu"])),
        "norm_first": draw(flags),
        "bias": draw(flags),
    }
    return Row(
        lambda: nn.TransformerEncoderLayer(heads * own, heads, **options),
        lambda: T.TransformerEncoderLayer(
            heads * own, heads, batch_first=True, **options
        ),
        ((draw(small), draw(small), heads * own),),
    )


@st.composite
def recurrences(draw):
    width, hidden, n = draw(small), draw(small), draw(small)
    options = {
        "num_layers": draw(st.integers(1, 2)),
        "bias": draw(flags),
        "bidirectional": draw(flags),
    }
    n_states = options["num_layers"] * (1 + options["bidirectional"])
    return Row(
        lambda: nn.GRU(width, hidden, **options),
        lambda: T.GRU(width, hidden, batch_first=True, **options),
        ((n, draw(small), width), (n_states, n, hidden)),
    )


KINDS = {
    "Conv1d": convolutions(1),
    "Conv2d": convolutions(2),
    "MaxPool1d": poolings(1, "Max"),
    "MaxPool2d": poolings(2, "Max"),
    "AvgPool1d": poolings(1, "Avg"),
    "AvgPool2d": poolings(2, "Avg"),
    "normalisation": normalisations(),
    "Embedding": embeddings(),
    "MultiheadAttention": attentions(),
    "TransformerEncoderLayer": transformers(),
    "GRU": recurrences(),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(data=st.data())
def test_values_buffers_and_gradients_are_torchs(kind, data):
    row = data.draw(KINDS[kind])
    training = data.draw(flags)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    torch.manual_seed(int(rng.integers(1000)))
    function, args, wanted = results_of(row, "float64", training, rng)
    compare(function(*args), wanted, 1e-8)
