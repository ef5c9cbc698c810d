"""Functions and loops in LLVM IR: what the printer and the library are written with.

Everything the driver calls is a function ``kernel(pointers, sizes, step)``: a table of
addresses, a table of extents and strides, and the number of the step. :class:`Function`
writes it as a shell that unpacks the tables and calls the body with one argument per
address and per size. The detour is for the vectoriser: arguments can be declared not
to overlap, values loaded from a table cannot.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import llvmlite.ir as ir

from skgrad.backend.cpu.scalar import Scalar, llvm_type

__all__ = [
    "I64",
    "Function",
    "element",
    "in_memory",
    "integer",
    "load",
    "loop",
    "store",
]

I64 = ir.IntType(64)
_POINTER = ir.PointerType()
_BYTE = ir.IntType(8)


def integer(value: int) -> ir.Constant:
    """Return a constant of type int64.

    Parameters
    ----------
    value : int
        The number.

    Returns
    -------
    llvmlite.ir.Constant
        The constant.

    Examples
    --------
    >>> from skgrad.backend.cpu import loops
    >>> str(loops.integer(3))
    'i64 3'
    """
    return ir.Constant(I64, value)


class Function:
    """The function ``kernel`` of a module, and its body under construction.

    Parameters
    ----------
    n_pointers : int
        Number of arrays.
    n_sizes : int
        Number of extents and strides.

    Attributes
    ----------
    builder : llvmlite.ir.IRBuilder
        Where the body's instructions are appended.
    pointers, sizes : list of llvmlite.ir.Value
        The entries of the two tables.
    step : llvmlite.ir.Value
        Number of the step within a run.

    Examples
    --------
    >>> from skgrad.backend.cpu.loops import Function, integer
    >>> function = Function(n_pointers=1, n_sizes=0)
    >>> _ = function.builder.store(integer(3), function.pointers[0])
    >>> "store i64 3" in function.text()
    True
    """

    def __init__(self, n_pointers: int, n_sizes: int) -> None:
        module = ir.Module("skgrad")
        tables = ir.FunctionType(ir.VoidType(), [_POINTER, _POINTER, I64])
        shell = ir.Function(module, tables, "kernel")
        shell.attributes.add("nounwind")
        entries = [_POINTER] * n_pointers + [I64] * n_sizes
        signature = ir.FunctionType(ir.VoidType(), [*entries, I64])
        body = ir.Function(module, signature, "body")
        body.linkage = "internal"
        body.attributes.add("nounwind")
        body.attributes.add("alwaysinline")
        for argument in body.args[:n_pointers]:
            argument.add_attribute("noalias")
        _unpack(shell, body, n_pointers)
        self.builder = ir.IRBuilder(body.append_basic_block("entry"))
        self.pointers = list(body.args[:n_pointers])
        self.sizes = list(body.args[n_pointers:-1])
        self.step = body.args[-1]

    def text(self) -> str:
        """Return the module, the body completed."""
        self.builder.ret_void()
        return str(self.builder.module)


def _unpack(shell: ir.Function, body: ir.Function, n_pointers: int) -> None:
    builder = ir.IRBuilder(shell.append_basic_block("entry"))
    pointers, sizes, step = shell.args
    arguments = []
    for i, argument in enumerate(body.args[:-1]):
        table, k = (pointers, i) if i < n_pointers else (sizes, i - n_pointers)
        entry = element(builder, table, integer(k), argument.type)
        arguments.append(builder.load(entry, typ=argument.type))
    builder.call(body, [*arguments, step])
    builder.ret_void()


# --- memory -----------------------------------------------------------------------


def element(
    builder: ir.IRBuilder, pointer: ir.Value, index: ir.Value, kind: ir.Type
) -> ir.Value:
    """Return the address of an element of an array.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Where instructions are appended.
    pointer : llvmlite.ir.Value
        Address of the array.
    index : llvmlite.ir.Value
        Number of the element.
    kind : llvmlite.ir.Type
        Type of the elements in memory.

    Returns
    -------
    llvmlite.ir.Value
        The address.
    """
    return builder.gep(pointer, [index], inbounds=True, source_etype=kind)


def in_memory(dtype: str) -> ir.Type:
    """Return the type an element of an array has in memory: of a bool, a byte."""
    return _BYTE if dtype == "bool" else llvm_type(dtype)


def load(builder: ir.IRBuilder, pointer: ir.Value, dtype: str) -> Scalar:
    """Return the element at an address.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Where instructions are appended.
    pointer : llvmlite.ir.Value
        Address of the element.
    dtype : str
        Its NumPy dtype.

    Returns
    -------
    Scalar
        The value.
    """
    value = builder.load(pointer, typ=in_memory(dtype))
    if dtype == "bool":
        value = builder.icmp_unsigned("!=", value, ir.Constant(_BYTE, 0))
    return Scalar(builder, value, dtype)


def store(builder: ir.IRBuilder, value: Scalar, pointer: ir.Value) -> None:
    """Write an element to an address.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Where instructions are appended.
    value : Scalar
        The value.
    pointer : llvmlite.ir.Value
        Address of the element.
    """
    word = value.value
    if value.dtype == "bool":
        word = builder.zext(word, _BYTE)
    builder.store(word, pointer)


# --- loops ------------------------------------------------------------------------


@contextmanager
def loop(
    builder: ir.IRBuilder, extent: ir.Value, width: int | None = None
) -> Iterator[ir.Value]:
    """Run the instructions appended in a ``with`` block for index = 0, 1, ...

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Where instructions are appended.
    extent : llvmlite.ir.Value
        How many turns; none if it is not positive.
    width : int, optional
        How many turns at once LLVM is to vectorise; 1 leaves the loop as it is. By
        default LLVM chooses, and also writes a second vector loop for what is left
        over: for the innermost loops of kernels, since it takes long to compile.

    Yields
    ------
    llvmlite.ir.Value
        The index.

    Examples
    --------
    >>> from skgrad.backend.cpu.loops import I64, Function, element, loop
    >>> function = Function(n_pointers=1, n_sizes=1)
    >>> with loop(function.builder, function.sizes[0]) as i:
    ...     address = element(function.builder, function.pointers[0], i, I64)
    ...     _ = function.builder.store(i, address)
    >>> "phi" in function.text()
    True
    """
    before = builder.block
    body = builder.append_basic_block("turn")
    after = builder.append_basic_block("after")
    builder.cbranch(builder.icmp_signed(">", extent, integer(0)), body, after)
    builder.position_at_end(body)
    index = builder.phi(I64, "i")
    index.add_incoming(integer(0), before)
    yield index
    following = builder.add(index, integer(1), flags=("nuw", "nsw"))
    index.add_incoming(following, builder.block)
    again = builder.icmp_signed("<", following, extent)
    branch = builder.cbranch(again, body, after)
    if width is not None:
        branch.set_metadata("llvm.loop", _hint(builder.module, width))
    builder.position_at_end(after)


def _hint(module: ir.Module, width: int) -> ir.MDValue:
    """Return what tells LLVM how to vectorise a loop."""
    if width == 1:
        hint = module.add_metadata(("llvm.loop.disable_nonforced",))
    else:
        lanes = ir.Constant(ir.IntType(32), width)
        hint = module.add_metadata(("llvm.loop.vectorize.width", lanes))
    # A loop's node lists itself first, and so belongs to one loop only.
    node = module.add_metadata((hint, f"loop {len(module.metadata)}"))
    node.operands = (node, hint)
    return node
