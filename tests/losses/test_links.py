"""Links are inverse to each other, stable, and keep the dtype."""

import numpy as np
import pytest
import sklearn._loss.link as sklearn_link

from skgrad.exceptions import ParameterError
from skgrad.losses import LINKS, Link, get_link

ORACLES = {
    "identity": sklearn_link.IdentityLink(),
    "log": sklearn_link.LogLink(),
    "logit": sklearn_link.LogitLink(),
    "multinomial_logit": sklearn_link.MultinomialLogit(),
}
every_link = pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)


def raw_values(link, rng):
    return rng.standard_normal((20, 3))


def test_every_link_has_an_oracle():
    assert set(LINKS) == set(ORACLES)
    for name, link in LINKS.items():
        assert isinstance(link, Link)
        assert link.name == name
        assert repr(link) == f"{type(link).__name__}()"
        assert get_link(name) is link


@every_link
def test_equals_scikit_learn(link, rng):
    raw, oracle = raw_values(link, rng), ORACLES[link.name]
    predicted = oracle.inverse(raw)
    np.testing.assert_allclose(link.inverse(raw), predicted, rtol=1e-14)
    np.testing.assert_allclose(link.link(predicted), oracle.link(predicted), atol=1e-14)


@every_link
def test_round_trip(link, rng):
    predicted = link.inverse(raw_values(link, rng))
    assert link.domain.includes(predicted)
    np.testing.assert_allclose(
        link.inverse(link.link(predicted)), predicted, rtol=1e-14
    )


@every_link
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(link, dtype, rng):
    raw = raw_values(link, rng).astype(dtype)
    assert link.inverse(raw).dtype == dtype
    assert link.link(link.inverse(raw)).dtype == dtype


@every_link
def test_integers_and_lists_become_float64(link):
    assert link.inverse([[0, 1]]).dtype == np.float64


@every_link
def test_extreme_predictions_give_no_nan(link):
    raw = np.array([[1e4, -1e4], [1e4, 1e4], [-1e4, -1e4]])
    assert not np.isnan(link.inverse(raw)).any()


def test_limits():
    assert get_link("log").inverse([1e4, -1e4]).tolist() == [np.inf, 0.0]
    assert get_link("log").link([0.0]).tolist() == [-np.inf]
    assert get_link("logit").link([0.0, 1.0]).tolist() == [-np.inf, np.inf]
    certain = get_link("multinomial_logit").link([[1.0, 0.0]])
    assert np.isfinite(certain).all()
    assert get_link("multinomial_logit").inverse(certain).tolist() == [
        [1.0, pytest.approx(0.0, abs=1e-300)]
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("log", -1.0), ("logit", 1.5), ("multinomial_logit", -0.5)]
)
def test_values_outside_the_domain_are_refused(name, value):
    with pytest.raises(ParameterError, match=rf"The {name} link is .* Got {value:g} "):
        get_link(name).link([[0.5, value]])


@pytest.mark.parametrize("name", ["logitt", None, 3, ["log"]])
def test_unknown_links_are_refused(name):
    with pytest.raises(ParameterError, match=r"'link' parameter must be one of"):
        get_link(name)
