"""Programs as a person reads them: instructions, sizes, and what was fused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from skgrad.executor.graph import Variable
from skgrad.executor.instruction import Instruction, Kernel
from skgrad.executor.storage import Buffer, View

if TYPE_CHECKING:
    from skgrad.executor.compiled import CompiledExecutor
    from skgrad.executor.reference import ReferenceExecutor

__all__ = ["explained", "listed"]


def listed(executor: CompiledExecutor) -> str:
    """Return one line per instruction of a compiled program.

    Parameters
    ----------
    executor : CompiledExecutor
        What runs the program.

    Returns
    -------
    str
        Instruction, operations, shape of the loops, operands, bytes read and written,
        floating-point operations (one per value of a kernel, two per element of the
        contraction of a product).
    """
    plan = executor.plan()
    name = executor.graph.name
    lines = [f"{name}({', '.join(map(_typed, executor.graph.inputs))})"]
    names = _Names()
    for number, instruction in enumerate(plan.lowered.instructions):
        lines.append(f"  {number:3d}  {_line(instruction, names)}")
    outputs = ", ".join(map(_typed, executor.graph.outputs))
    lines.append(f"  return {outputs}")
    lines.append(f"  arena {_bytes(plan.arena_bytes)}")
    return "\n".join(lines)


class _Names:
    """Short names of buffers, in the order of their appearance."""

    def __init__(self) -> None:
        self.known: dict[Buffer, str] = {}

    def __call__(self, buffer: Buffer) -> str:
        root, start = buffer.root
        if root not in self.known:
            same = sum(b.kind == root.kind for b in self.known)
            number = same if root.kind == "scratch" else root.number
            self.known[root] = f"{root.kind}{number}"
        return f"{self.known[root]}+{start}" if start else self.known[root]


def _line(instruction: Kernel | Instruction, names: _Names) -> str:
    if isinstance(instruction, Kernel):
        what = f"kernel {_counted(instruction.names)}"
        shape = f"over {list(instruction.extents)}"
    else:
        where = "" if instruction.function is None else "reference "
        what, shape = f"{where}{instruction.name}", f"{list(instruction.sizes)}"
        if instruction.name == "product":
            m, n, k, _, _, _, ta, tb, count, *_ = instruction.sizes
            left, right = "A'" if ta else "A", "B'" if tb else "B"
            times = f" x {count}" if count != 1 else ""
            shape = f"{left} {right}, {m} x {k} x {n}{times}"
    reads, writes = instruction.buffers
    sources, targets = (
        ", ".join(dict.fromkeys(map(names, b))) for b in (reads, writes)
    )
    size = _bytes(sum(b.n_bytes for b in dict.fromkeys((*reads, *writes))))
    flops = f", {instruction.flops:.3g} flop" if instruction.flops else ""
    return f"{targets} = {what}({sources}) {shape}; {size}{flops}"


def _counted(names: tuple[str, ...]) -> str:
    counts = Counter(names)
    return " ".join(f"{n}*{name}" if n > 1 else name for name, n in counts.items())


def _typed(variable: Variable) -> str:
    return f"{variable.dtype}{list(variable.shape)}"


def _bytes(n: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if n < 1024:
            return f"{n:.3g} {unit}"
        n /= 1024
    return f"{n:.3g} GiB"


def explained(executor: CompiledExecutor | ReferenceExecutor) -> str:
    """Return what was fused, what was not and why."""
    if executor.name == "reference":
        n = len(executor.graph.equations)
        count = f"{n} equation{'s' if n != 1 else ''}"
        one_by_one = "with NumPy, one by one; nothing is fused."
        return f"The reference executor runs {count} {one_by_one}"
    return "\n".join(_explanation(executor))


def _explanation(executor: Any) -> Iterator[str]:
    instructions = executor.plan().lowered.instructions
    kernels = [i for i in instructions if isinstance(i, Kernel)]
    reference = [i for i in instructions if getattr(i, "function", None) is not None]
    products = [i for i in instructions if i.name == "product"]
    others = len(instructions) - len(kernels) - len(reference) - len(products)
    fused = [len(k.names) for k in kernels if k.names != ("copy",)]
    yield (
        f"{len(instructions)} instructions: {len(fused)} kernels of "
        f"{sum(fused)} operations, {len(kernels) - len(fused)} copies, "
        f"{len(products)} products, {others} others, "
        f"{len(reference)} reference instructions."
    )
    for kernel in kernels:
        if kernel.names != ("copy",):
            where = f" ({kernel.frame})" if kernel.frame else ""
            yield f"fused over {list(kernel.extents)}: {' '.join(kernel.names)}{where}"
    for kernel in kernels:
        if kernel.names == ("copy",):
            yield f"copied {list(kernel.extents)}: its reader needs another layout."
    for instruction in reference:
        where = f" ({instruction.frame})" if instruction.frame else ""
        yield (
            f"reference: {instruction.name} has no compiled instruction for "
            f"{', '.join(_view(v) for v in instruction.reads)}{where}."
        )


def _view(view: View) -> str:
    return f"{np.dtype(view.dtype)}{list(view.shape)}"
