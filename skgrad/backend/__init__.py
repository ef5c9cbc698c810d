"""Backends: where arrays live and what computes on them.

``base`` holds the protocol and the registry, ``reference`` the NumPy backend that
defines every operation. Nothing above this layer imports a concrete backend.
"""

from skgrad.backend.base import (
    Backend,
    Binding,
    KernelSpec,
    Operand,
    Output,
    backend_of,
    get_backend,
)

__all__ = [
    "Backend",
    "Binding",
    "KernelSpec",
    "Operand",
    "Output",
    "backend_of",
    "get_backend",
]
