"""Links compose into optimizers nobody ships."""

import numpy as np
import pytest

import skgrad
from skgrad.exceptions import ShapeError
from skgrad.optim import links


def run(link, gradients, hyper, w=0.0):
    """Return the updates of a link, gradient after gradient."""
    w = skgrad.tensor([w])
    state, found = link.init(w), []
    for g in gradients:
        updates, state = link.update(skgrad.tensor([g]), state, w, hyper)
        found.append(updates.item())
    return found


def test_an_empty_chain_changes_nothing():
    assert run(links.chain(), [1.0, 2.0], {}) == [1.0, 2.0]


def test_links_act_in_the_order_given():
    hyper = {"learning_rate": 0.5, "weight_decay": 2.0}
    rate, decay = links.scale_by_learning_rate(), links.add_decayed_weights()
    assert run(links.chain(rate, decay), [1.0], hyper, w=3.0) == [-0.5 + 6.0]
    assert run(links.chain(decay, rate), [1.0], hyper, w=3.0) == [-0.5 * 7.0]


def test_adam_with_momentum_behind_it():
    hyper = {"b1": 0.0, "b2": 0.0, "eps": 0.0, "momentum": 0.5}
    chain = links.chain(links.scale_by_adam(), links.accumulate_momentum())
    np.testing.assert_allclose(run(chain, [3.0, -2.0, 5.0], hyper), [1.0, -0.5, 0.75])


def test_chains_nest():
    inner = links.chain(links.accumulate_momentum())
    flat = links.chain(links.accumulate_momentum(), links.scale_by_learning_rate())
    nested = links.chain(inner, links.scale_by_learning_rate())
    hyper = {"learning_rate": 0.1, "momentum": 0.9}
    gradients = [1.0, -2.0, 0.5]
    assert run(nested, gradients, hyper) == run(flat, gradients, hyper)


def test_gradients_of_another_structure():
    link = links.accumulate_momentum()
    w = {"a": skgrad.tensor([1.0])}
    with pytest.raises(ShapeError, match="Trees of different structure"):
        link.update([skgrad.tensor([1.0])], link.init(w), w, {"momentum": 0.5})
