"""What users add to the engine: gradient rules and elementwise primitives.

Both are decorators of a function, and both take gradient rules as the engine's own
primitives do: ``rule(g, out, *operands)``.
"""

from skgrad.extension.gradient import custom_vjp
from skgrad.extension.primitive import elementwise

__all__ = ["custom_vjp", "elementwise"]
