"""Backends: where arrays live and what computes on them.

``base`` holds the protocol and the registry, ``arrays`` every operation in the
functions of an array module, and ``reference`` those of NumPy, which define what is
right. Nothing above this layer imports a concrete backend.
"""

from skgrad.backend.base import (
    Backend,
    Binding,
    KernelSpec,
    Operand,
    Output,
    backend_of,
    device_of,
    get_backend,
)

__all__ = [
    "Backend",
    "Binding",
    "KernelSpec",
    "Operand",
    "Output",
    "backend_of",
    "device_of",
    "get_backend",
]
