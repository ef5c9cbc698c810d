"""CUDA C of every kernel and instruction, and how each is launched.

Nothing here needs a device or imports CuPy: text and launch shapes are functions of
what is computed and of sizes. The same text compiles as C++ for the host, which is how
its values are tested where there is no device.

Every function takes the addresses of its operands, of a workspace and of the counter of
steps, then its sizes, then those of its :class:`~skgrad.backend.cuda.launch.Launch`.
Compile it with neither ``--use_fast_math`` nor ``-ftz=true``: subnormal numbers count.
"""

__all__: list[str] = []
