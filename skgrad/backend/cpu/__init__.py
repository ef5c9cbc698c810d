"""The compiled CPU backend: kernels generated as LLVM IR, and BLAS.

LLVM is reached through llvmlite alone. A kernel compiles in about 20 ms, once per
machine: its object code is kept on disk and a later process loads it in 0.5 ms.
``backend`` is what the executor asks; importing this package loads nothing.
"""

__all__: list[str] = []
