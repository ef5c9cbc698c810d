"""Embeddings, attention and recurrences: traps and refusals the rows leave out."""

import numpy as np
import pytest
import torch

import skgrad
from skgrad import nn, ops
from skgrad.exceptions import DTypeError, ParameterError, ShapeError
from skgrad.executor import trace
from skgrad.executor.lower import lower


def test_padding_gets_no_gradient_and_stays_zero():
    layer = nn.Embedding(4, 2, padding_idx=1)
    assert layer.weight.numpy()[1].tolist() == [0.0, 0.0]
    layer(skgrad.tensor([[0, 1], [1, 3]])).sum().backward()
    assert layer.weight.grad.numpy().tolist() == [[1, 1], [0, 0], [0, 0], [1, 1]]


def test_codes_that_are_none():
    layer = nn.Embedding(4, 2)
    with pytest.raises(DTypeError, match=r"astype\(x, 'int64'\)"):
        layer(skgrad.tensor([0.0, 1.0]))
    with pytest.raises(IndexError, match=r"codes 0 to 3\. Got codes from 1 to 4"):
        layer(skgrad.tensor([4, 1]))
    with pytest.raises(IndexError, match="Got codes from -1 to 1"):
        layer(skgrad.tensor([-1, 1]))
    for padding in (4, -5, 1.5):
        with pytest.raises(ParameterError, match="'padding_idx' parameter"):
            nn.Embedding(4, 2, padding_idx=padding)


@pytest.mark.parametrize("executor", ["reference", "cpu"])
def test_codes_of_a_trace_are_checked_when_it_runs(executor):
    layer = nn.Embedding(4, 2)

    def call(weight, codes):
        return nn.functional_call(layer, {"weight": weight}, {}, codes)[0]

    weight = layer.weight.numpy()
    program = trace(call, weight, np.array([0, 1])).on(executor)
    np.testing.assert_array_equal(program(weight, np.array([3, 0])), weight[[3, 0]])
    for wrong in (-1, 4):
        with pytest.raises(IndexError, match="out of"):
            program(weight, np.array([0, wrong]))


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("per_head", [True, False])
def test_masks_of_samples_and_heads_are_torchs(per_head, causal, rng):
    theirs = torch.nn.MultiheadAttention(4, 2, batch_first=True, dtype=torch.float64)
    ours = nn.MultiheadAttention(4, 2)
    ours.load_state_dict({n: v.numpy() for n, v in theirs.state_dict().items()})
    x = rng.standard_normal((3, 5, 4))
    shape = (3, 2, 5, 5) if per_head else (3, 1, 5, 5)
    mask = rng.random(shape) < 0.3
    mask[..., 0] = False  # a query that sees nothing is NaN in PyTorch
    flat = np.broadcast_to(mask, (3, 2, 5, 5)).reshape(6, 5, 5)
    if causal:
        flat = flat | np.triu(np.ones((5, 5), bool), 1)
    given = mask if per_head else mask[:, 0]
    found, weights = ours(x, x, x, attn_mask=given, is_causal=causal)
    t = torch.tensor(x)
    out, expected = theirs(t, t, t, attn_mask=torch.tensor(flat))
    np.testing.assert_allclose(found.numpy(), out.detach(), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(weights.numpy(), expected.detach(), rtol=1e-11)


@pytest.mark.parametrize(
    ("masks", "match"),
    [
        # As many keys as samples: (n_keys,) would pass for (n_samples, ...).
        ({"key_padding_mask": np.zeros(3, bool)}, r"key_padding_mask .* \(3, 3\) for"),
        ({"key_padding_mask": np.zeros((3, 1), bool)}, r"Got \(3, 1\)"),
        (
            {"attn_mask": np.zeros((1, 3), bool)},
            r"attn_mask .* \(5, 3\) or \(3, 5",
        ),
        ({"attn_mask": np.zeros((6, 5, 3))}, r"or \(3, 2, 5, 3\) .*Got \(6, 5, 3\)"),
    ],
)
def test_masks_are_not_broadcast(masks, match):
    query, key = np.zeros((3, 5, 4)), np.zeros((3, 3, 4))
    with pytest.raises(ShapeError, match=match):
        nn.MultiheadAttention(4, 2)(query, key, key, **masks)


def test_weights_are_dropped_while_training_only():
    layer, x = nn.MultiheadAttention(4, 2, dropout=0.5), np.ones((2, 3, 4))
    with skgrad.random_seed(0):
        first, second = layer(x, x, x)[0], layer(x, x, x)[0]
    assert (first.numpy() != second.numpy()).any()
    layer.eval()
    first, second = layer(x, x, x, need_weights=False), layer(x, x, x)
    assert first[1] is None
    np.testing.assert_array_equal(first[0].numpy(), second[0].numpy())
    assert dict(layer.named_buffers())["dropout.p"].item() == 0.5


@pytest.mark.parametrize(
    ("shapes", "match"),
    [
        ([(2, 3, 5)] * 3, r"query of shape \(n_samples, length, 4\).*\(2, 3, 5\)"),
        ([(3, 4)] * 3, "the batch comes first"),
        ([(2, 3, 4), (2, 5, 4), (2, 6, 4)], "as many values as keys"),
        ([(2, 3, 4), (1, 5, 4), (1, 5, 4)], "as many samples"),
    ],
)
def test_shapes_attention_does_not_take(shapes, match):
    with pytest.raises(ShapeError, match=match):
        nn.MultiheadAttention(4, 2)(*map(np.zeros, shapes))


def test_settings_of_attention():
    with pytest.raises(ParameterError, match=r"'num_heads' .* divide embed_dim=4"):
        nn.MultiheadAttention(4, 3)
    with pytest.raises(ParameterError, match=r"'activation' .* 'relu'"):
        nn.TransformerEncoderLayer(4, 2, activation="tanh")


def test_shapes_a_gru_does_not_take():
    layer = nn.GRU(3, 4)
    for shape in [(2, 3), (2, 5, 4), (2, 0, 3)]:
        with pytest.raises(ShapeError, match=r"\(n_samples, length, 3\), the batch"):
            layer(np.zeros(shape))
    with pytest.raises(ShapeError, match=r"first states of shape \(1, 2, 4\)"):
        layer(np.zeros((2, 5, 3)), np.zeros((1, 3, 4)))


def test_a_long_sequence_costs_a_step_the_same():
    layer = nn.GRU(2, 3)
    params = {n: p.numpy() for n, p in layer.named_parameters()}

    def loss(params, x):
        def total(params):
            (out, _), _ = nn.functional_call(layer, params, {}, x)
            return ops.sum(ops.square(out))

        return skgrad.grad(total)(params)

    def cost(length):
        program = trace(loss, params, np.zeros((4, length, 2))).on("cpu")
        instructions = lower(program._executor.graph).instructions
        return len(instructions), sum(
            v.buffer.n_bytes
            for i in instructions
            if i.name == "fill_zero"
            for v in i.writes
        )

    (short, _), (double, zeros) = cost(8), cost(16)
    assert double < 2.1 * short
    assert zeros == 0  # no step writes into zeros of the size of all steps


def test_containers_hold_modules():
    parts = nn.ModuleList([nn.Linear(2, 2)]).append(nn.Tanh())
    assert [type(m).__name__ for m in parts] == ["Linear", "Tanh"]
    assert isinstance(parts[:1], nn.ModuleList)
    assert parts[:1][0] is parts[0]
    assert [n for n, _ in parts.named_parameters()] == ["0.weight", "0.bias"]
    with pytest.raises(IndexError, match="the ModuleList holds 2"):
        parts[2]
    heads = nn.ModuleDict({"a": nn.Linear(2, 1)})
    heads["b"] = nn.Tanh()
    assert (len(heads), list(heads), "b" in heads) == (2, ["a", "b"], True)
    assert [n for n, _ in heads.named_parameters()] == ["a.weight", "a.bias"]
    del heads["b"]
    with pytest.raises(KeyError, match=r"'b': the ModuleDict holds \['a'\]"):
        heads["b"]
    with pytest.raises(ParameterError, match="Got float for 'c'"):
        heads["c"] = 1.0
    with pytest.raises(ParameterError, match=r"would hide ModuleDict\.items"):
        heads["items"] = nn.Tanh()
    for wrong in (None, nn.Tanh):
        with pytest.raises(ParameterError, match="Residual takes a module"):
            nn.Residual(wrong)


def test_a_residual_is_not_broadcast():
    with pytest.raises(ShapeError, match=r"same shape\. Got \(2, 3\) and \(2, 1\)"):
        nn.Residual(nn.Linear(3, 1))(skgrad.tensor(np.zeros((2, 3))))
    with pytest.raises(ShapeError, match="does not have in this order"):
        nn.Flatten(3)(skgrad.tensor(np.zeros((2, 3))))
