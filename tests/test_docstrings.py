"""Every public name is documented, and every example in the documents runs."""

import doctest
import enum
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

import skgrad

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

# numpydoc's checks that hold here: sections are known, in order and complete, the
# summary is one line, parameters and results have a type and a description.
CHECKED = {"GL03", "GL05", "GL06", "GL07", "GL08", "GL10", "SS01", "SS03", "SS04"}
CHECKED |= {"SS06", "PR04", "PR07", "PR10", "RT01", "RT03", "YD01", "EX01"}


# ------------------------------------------------------------------- what there is


def modules():
    """Return all modules of the package but those that cannot exist without CuPy."""
    infos = pkgutil.walk_packages(skgrad.__path__, "skgrad.")
    names = ["skgrad", *(info.name for info in infos)]
    return [
        importlib.import_module(name)
        for name in names
        if not name.startswith("skgrad.backend.cuda")
    ]


def is_public(module):
    """Tell whether a module's ``__all__`` is public: of a package, or top level."""
    return hasattr(module, "__path__") or module.__name__.count(".") == 1


def public_objects():
    """Return the public functions and classes by name, each once."""
    names = {}
    for module in filter(is_public, modules()):
        for name in module.__all__:
            value = getattr(module, name)
            if is_documentable(value):
                names.setdefault(id(value), (f"{module.__name__}.{name}", value))
    return dict(sorted(names.values()))


def is_documentable(value):
    """Tell whether a public value is our own function or class, not an alias."""
    kind = inspect.isroutine(value) or inspect.isclass(value)
    return kind and value.__module__.partition(".")[0] == "skgrad"


def public_methods():
    """Return the public methods and properties that public classes define, by name."""
    return {
        f"{class_name}.{name}": member
        for class_name, cls in PUBLIC.items()
        if inspect.isclass(cls)
        for name, member in vars(cls).items()
        if not name.startswith("_") and is_method(member)
    }


def is_method(member):
    kinds = (property, classmethod, staticmethod)
    return inspect.isfunction(member) or isinstance(member, kinds)


def examples():
    """Return all doctests of the package by name, each docstring once."""
    finder = doctest.DocTestFinder()
    found = {}
    for name, value in PUBLIC.items():
        for test in finder.find(value, name, module=False, globs={}):
            found.setdefault(test.docstring, test)
    for module in modules():
        for test in finder.find(module, module.__name__, globs={}):
            found.setdefault(test.docstring, test)
    return {test.name: test for test in found.values() if test.examples}


PUBLIC = public_objects()
METHODS = public_methods()
EXAMPLES = examples()


# ------------------------------------------------------------------------- docstrings


def documented(value, section="Parameters"):
    """Return the names that a section of the docstring describes, in order."""
    if not inspect.getdoc(value):
        return []
    fields = get_doc_object(value)[section]
    return [name.lstrip("*") for field in fields for name in field.name.split(", ")]


def accepted(value):
    """Return the names of the arguments of a function or class, in order."""
    names = list(inspect.signature(value).parameters)
    return [name for name in names if name not in ("self", "cls")]


def inherited(cls):
    """Return the names that the bases of a class describe."""
    bases = [base for base in cls.__mro__[1:] if base.__module__.startswith("skgrad")]
    return {name for base in bases for name in documented(base)}


def promises_result(value):
    """Tell whether a function's annotation says that it returns something."""
    annotation = inspect.signature(value).return_annotation
    nothing = (inspect.Signature.empty, None, "None", "NoReturn", "Never")
    return annotation not in nothing


def makes_own_arguments(cls):
    """Tell whether users call a class with arguments that the class itself defines."""
    if issubclass(cls, BaseException | enum.Enum) or getattr(
        cls, "_is_protocol", False
    ):
        return False
    return "__init__" in vars(cls) or "__new__" in vars(cls)


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_is_complete(name):
    found = validate(get_doc_object(PUBLIC[name]))["errors"]
    assert [error for error in found if error[0] in CHECKED] == []


@pytest.mark.parametrize(
    "name", [name for name, value in PUBLIC.items() if not inspect.isclass(value)]
)
def test_function_documents_its_arguments_and_result(name):
    function = PUBLIC[name]
    assert documented(function) == accepted(function)
    if promises_result(function):
        doc = get_doc_object(function)
        assert doc["Returns"] or doc["Yields"]


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, value in PUBLIC.items()
        if inspect.isclass(value) and makes_own_arguments(value)
    ],
)
def test_class_documents_its_arguments(name):
    cls = PUBLIC[name]
    own, arguments = documented(cls), accepted(cls)
    assert own == [argument for argument in arguments if argument in own]
    elsewhere = inherited(cls) | set(documented(cls, "Attributes"))
    assert set(arguments) <= set(own) | elsewhere


@pytest.mark.parametrize("name", METHODS)
def test_method_has_a_summary_and_no_false_parameters(name):
    method = getattr(METHODS[name], "__func__", METHODS[name])
    summary = (inspect.getdoc(method) or "").partition("\n\n")[0]
    assert summary.endswith(".")
    assert "\n" not in summary
    if not isinstance(method, property) and documented(method):
        assert documented(method) == accepted(method)


# --------------------------------------------------------------------------- examples


def run_doctest(test):
    """Run one doctest and return what it reports, empty if it passed."""
    report = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append)
    return "".join(report)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_in_docstring(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = run_doctest(EXAMPLES[name])
    if report:
        pytest.fail(report, pytrace=False)


def python_blocks(page):
    """Return the Python code of a page's fenced blocks as one script.

    Of a block that starts with a prompt, the output shown is checked too.
    """
    text = page.read_text("utf-8")
    blocks = re.findall(r"^```(?:python|pycon)\n(.*?)^```", text, re.M | re.S)
    return "\n".join(map(as_script, blocks))


def as_script(block):
    if not block.startswith(">>> "):
        return block
    return (
        f"_test = doctest.DocTestParser().get_doctest({block!r}, globals(), "
        "'page', None, None)\n"
        f"_runner = doctest.DocTestRunner(optionflags={OPTIONS})\n"
        "assert not _runner.run(_test, clear_globs=False).failed\n"
        "globals().update(_test.globs)\n"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_runs_in_a_fresh_interpreter(page, tmp_path):
    script = tmp_path / "page.py"
    script.write_text("import doctest\n" + python_blocks(page), "utf-8")
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_readme_starts_with_the_two_commands():
    text = (ROOT / "README.md").read_text("utf-8")
    assert "python3 dev.py quickstart\n" in text
    assert "python3 dev.py test\n" in text
