"""Names of a package that are imported where they are first used (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["imported"]


def imported(package: str, origin: Mapping[str, str], name: str) -> Any:
    """Return a name of a package, and keep it there: its module is asked once.

    Parameters
    ----------
    package : str
        The package, imported; its ``__getattr__`` calls this.
    origin : mapping of str to str
        Where names are defined: the module, counted from the package. The empty string
        for a name that is itself a module.
    name : str
        What is asked for.

    Returns
    -------
    object
        What the name stands for.

    Raises
    ------
    AttributeError
        If the package does not have this name.

    Examples
    --------
    >>> from skgrad.core.lazy import imported
    >>> imported("skgrad", {"Adam": "optim.adam"}, "Adam")()
    Adam()
    """
    if name not in origin:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    if origin[name]:
        module = importlib.import_module(f"{package}.{origin[name]}")
        value = getattr(module, name)
    else:
        value = importlib.import_module(f"{package}.{name}")
    setattr(sys.modules[package], name, value)
    return value
