"""The mathematics of the kernels, written once for all compiled backends.

A scalar expression is plain Python. Evaluated with arrays it computes with NumPy,
evaluated with the scalars of a backend it writes instructions or source text: there is
no parser and no second definition of an operation.
"""

__all__: list[str] = []
