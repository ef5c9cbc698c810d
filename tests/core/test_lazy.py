"""Names that are imported where they are first used."""

import sys
import types

import pytest

from skgrad.core.lazy import imported

ORIGIN = {"fractions": "", "Fraction": "fractions"}


@pytest.fixture
def package(monkeypatch):
    """Return a package with a module ``fractions``, which defines ``Fraction``."""
    package = types.ModuleType("package")
    package.fractions = types.ModuleType("package.fractions")
    package.fractions.Fraction = object()
    for module in (package, package.fractions):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return package


def test_a_name_is_that_of_its_module_and_stays(package):
    value = imported("package", ORIGIN, "Fraction")
    assert value is package.fractions.Fraction
    assert vars(package)["Fraction"] is value


def test_a_module_is_itself(package):
    assert imported("package", ORIGIN, "fractions") is package.fractions


def test_other_names_are_an_error(package):
    with pytest.raises(AttributeError, match="module 'package' has no attribute 'x'"):
        imported("package", ORIGIN, "x")


def test_what_a_module_lacks_is_an_error(package):
    with pytest.raises(AttributeError, match="fractions"):
        imported("package", {"Missing": "fractions"}, "Missing")
