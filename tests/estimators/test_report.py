"""The report of a fit: a dict that prints as a table."""

import json

from estimators.battery import EACH, make_for
from sklearn.base import clone

from skgrad.estimators.report import FitReport


@EACH
def test_it_is_data_and_prints_as_a_table(estimator):
    model = clone(estimator)
    model.fit(*make_for(model))
    report = model.fit_report_
    assert dict(report) == json.loads(json.dumps(report))
    lines = str(report).splitlines()
    assert max(map(len, lines)) <= 88
    assert lines[0].split() == ["optimizer", report["optimizer"]]


def test_values_read_as_words():
    events = [{"epoch": 1, "message": "first"}, {"epoch": 2, "message": "second"}]
    report = FitReport(
        converged=True,
        best_epoch=None,
        rates=[1.0, 0.5, 0.25],
        nothing=[],
        recoveries=events,
        test={"rates": [1e-6, 1.0], "suggestion": 0.01},
    )
    assert str(report).splitlines() == [
        "converged   yes",
        "rates       3 values, 1 to 0.25",
        "recoveries  first",
        "            second",
        "test        rates: 2 values, 1e-06 to 1, suggestion: 0.01",
    ]
    assert (
        "<td style='text-align: left'>a &lt; b</td>"
        in FitReport(x="a < b")._repr_html_()
    )


def test_long_texts_are_wrapped():
    lines = str(FitReport(advice=[{"message": "word " * 40}])).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(" " * 8) for line in lines[1:])
