"""Stand-ins for packages that tables of cases import, where only their calls are used.

A machine with a GPU needs CuPy, NumPy, SciPy and pytest; the expected values of the
tables, for which they import more, are the CPU's there.
"""

import importlib.util
import sys

PACKAGES = (
    *("mpmath", "torch", "sklearn", "sklearn._loss", "sklearn._loss.loss"),
    "hypothesis",
)


class _Meta(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


class Absent(metaclass=_Meta):
    """Every attribute of it, and whatever it is called with, is absent too."""

    def __init__(self, *args, **kwargs):
        pass

    def __call__(self, *args, **kwargs):
        return self


def stand_in_for_missing():
    """Let ``import torch`` and its like work where there is no such package."""
    roots = {name.partition(".")[0] for name in PACKAGES} - set(sys.modules)
    missing = {root for root in roots if importlib.util.find_spec(root) is None}
    for name in PACKAGES:
        if name.partition(".")[0] in missing:
            sys.modules[name] = Absent
