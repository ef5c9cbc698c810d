"""The printer: a kernel's specification becomes the CUDA C of its passes.

Loops are flattened: the threads of the grid share out their turns, and each computes
the values an element needs. In a reduction, a thread first adds up elements of its own
in order, then the threads of a block add theirs in pairs through shared memory, then
the blocks theirs in a second launch: no atomics, and always one order.

A thread computes some elements side by side before it stores them, so that it waits
for memory once: a GPU needs more bytes under way than one element of each thread has.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from textwrap import indent
from typing import Any

from skgrad.backend.base import KernelSpec, Output
from skgrad.backend.cuda.launch import SIDE_BY_SIDE, THREADS, Pass, passes
from skgrad.backend.cuda.scalar import PRELUDE, TYPES, Block, Scalar, constant
from skgrad.backend.mathematics.preamble import PREAMBLE, bound

__all__ = ["STORED", "function", "module", "source"]

STORED = {**TYPES, "bool": "unsigned char"}
"""The types of dtypes in memory."""

_COMBINE: dict[str, Callable[..., Any]] = {
    "sum": operator.add,
    "prod": operator.mul,
    "max": PREAMBLE["maximum"],  # type: ignore[dict-item]
}

# The threads of a block as turns of elements that are reduced and lanes of elements
# that are kept, powers of two; those that read neighbouring memory are neighbours.
_SHARES = {
    True: ("threadIdx.x & (turns - 1)", "threadIdx.x / turns"),
    False: ("threadIdx.x / width", "threadIdx.x & (width - 1)"),
}

# Blocks that a multiprocessor is to hold at least. It bounds registers, and a compiler
# that is told no bound saves them by waiting for each element before the next is read.
_LEAST_BLOCKS = 2

# Lines of an element up to which a thread computes some side by side.
_FEW_LINES = 40


def module(functions: Iterable[str]) -> str:
    """Return a module of functions."""
    return "\n".join((PRELUDE, *functions))


def function(
    name: str, pointers: Sequence[str], sizes: Sequence[str], body: str
) -> str:
    """Return a function that a device launches.

    Parameters
    ----------
    name : str
        Its name.
    pointers : sequence of str
        Declarations of its operands.
    sizes : sequence of str
        Names of its sizes, those of the launch included.
    body : str
        Its statements.

    Returns
    -------
    str
        CUDA C, and C++ where ``__global__`` and what it implies are defined.
    """
    parameters = [
        *pointers,
        "unsigned char *__restrict__ workspace",
        "const long long *step",
        *(f"const long long {size}" for size in sizes),
    ]
    bounds = f"__launch_bounds__({THREADS}, {_LEAST_BLOCKS})"
    head = f'extern "C" {bounds} __global__ void {name}(\n'
    return f"{head}{indent(f',{chr(10)}'.join(parameters), '    ')})\n{{\n{body}}}\n"


def source(spec: KernelSpec, name: str = "kernel") -> str:
    """Return the functions of a kernel.

    Parameters
    ----------
    spec : KernelSpec
        What it computes.
    name : str, default="kernel"
        What the names of its functions begin with.

    Returns
    -------
    str
        CUDA C, without the prelude.

    Examples
    --------
    >>> from skgrad.backend.base import Binding, KernelSpec, Operand, Output
    >>> from skgrad.backend.cuda.printer import source
    >>> vector = Operand("float32", "1")
    >>> double = Binding("({0} + {0})", (0,), 1, "float32")
    >>> spec = KernelSpec(1, (vector, vector), 1, (double,), (Output(1, 1),))
    >>> print(source(spec))
    extern "C" __launch_bounds__(256, 2) __global__ void kernel_0(
        const float *__restrict__ p0,
        float *__restrict__ p1,
        unsigned char *__restrict__ workspace,
        const long long *step,
        const long long n0,
        const long long lanes,
        const long long splits)
    {
        const int first = blockIdx.x * blockDim.x + threadIdx.x;
        const int stride = gridDim.x * blockDim.x;
        const long long n_elements = n0;
        if (first < n_elements) {
            long long i0 = first;
            long long by_i0 = stride;
            #pragma unroll 1
            for (long long base = first; base < n_elements; base += 4 * stride) {
                const long long reach = 5 * (long long)stride;
                const int left = (int)min(n_elements - base, reach);
                float value0[4];
                long long place0[4];
                #pragma unroll
                for (int u = 0; u < 4; u++) {
                    const float v0 = p0[i0];
                    const float v1 = v0 + v0;
                    value0[u] = v1;
                    place0[u] = i0;
                    const bool more = (u + 1) * stride < left;
                    i0 += (more ? by_i0 : 0);
                }
                #pragma unroll
                for (int u = 0; u < 4; u++) {
                    const bool here = u * stride < left;
                    if (here) { p1[place0[u]] = value0[u]; }
                }
            }
        }
    }
    <BLANKLINE>
    """
    parts = [
        text
        for number, one in enumerate(passes(spec))
        for text in _Printer(spec, one, f"{name}_{number}").texts()
    ]
    return "\n".join(parts)


class _Printer:
    """One pass being printed."""

    def __init__(self, spec: KernelSpec, one: Pass, name: str) -> None:
        self.spec = spec
        self.one = one
        self.name = name
        self.block = Block()
        self.values: dict[int, Scalar] = {}
        self.needed = _needed(spec, (*one.reduced, *one.stored))
        self.strides = [
            f"s{i}_{level}"
            for i, operand in enumerate(spec.operands)
            for level, letter in enumerate(operand.strides)
            if letter == "s"
        ]

    def texts(self) -> list[str]:
        if self.one.over:
            return [self._reduction(), self._combination()]
        return [self._function("", self._stores())]

    def _function(self, suffix: str, body: str) -> str:
        written = {o.operand for o in (*self.one.reduced, *self.one.stored)}
        pointers = [
            f"{'' if i in written else 'const '}{STORED[operand.dtype]} "
            f"*__restrict__ p{i}"
            for i, operand in enumerate(self.spec.operands)
        ]
        extents = [f"n{k}" for k in range(self.spec.rank)]
        sizes = [*extents, *self.strides, "lanes", "splits"]
        return function(self.name + suffix, pointers, sizes, indent(body, "    "))

    # --- values -------------------------------------------------------------------

    def _compute(self, depths: range) -> None:
        """Append the values inside of these numbers of loops."""
        spec, all_depths = self.spec, self.spec.depths
        for i in self.needed:
            if all_depths[i] not in depths:
                continue
            if i < spec.n_reads:
                stored, dtype = self._element(i), spec.operands[i].dtype
                text = f"{stored} != 0" if dtype == "bool" else stored
                self.values[i] = self.block.bind(text, dtype)
                continue
            binding = spec.bindings[i - spec.n_reads]
            arguments = [self.values[k] for k in binding.arguments]
            self.values[i] = bound(binding, arguments, self._constant)

    def _constant(self, value: float, dtype: str) -> Scalar:
        return constant(self.block, value, dtype)

    def _place(self, i: int) -> str:
        """Return which element of an operand belongs to the indices."""
        terms = []
        for level, letter in enumerate(self.spec.operands[i].strides):
            if letter != "0":
                terms.append(f"i{level}" + (f" * s{i}_{level}" * (letter == "s")))
        return " + ".join(terms) or "0"

    def _element(self, i: int) -> str:
        return f"p{i}[{self._place(i)}]"

    def _store(self, output: Output, text: str) -> str:
        return f"{self._element(output.operand)} = {text};"

    # --- passes that store --------------------------------------------------------

    def _stores(self) -> str:
        self._compute(range(1))
        outside = self.block.taken()
        levels = range(self.one.depth)
        self._compute(range(1, self.one.depth + 1))
        stored = self.one.stored
        loop = self._loop(_loops(levels), "n_elements", [], stored, before=outside)
        return _lines(
            "const int first = blockIdx.x * blockDim.x + threadIdx.x;",
            "const int stride = gridDim.x * blockDim.x;",
            f"const long long n_elements = {_product(levels)};",
            *loop,
        )

    def _loop(
        self,
        loops: Mapping[str, str],
        count: str,
        terms: Sequence[Scalar],
        stored: Sequence[Output] = (),
        before: Sequence[str] = (),
    ) -> list[str]:
        """Return the turns of a thread over elements of which lines were just printed.

        From ``first`` on it takes each element that comes ``stride`` after the last
        one. What is computed side by side is all read before any of it is stored; where
        there are not as many elements left, the last one is computed again.
        """
        lines = self.block.taken()
        n = SIDE_BY_SIDE if loops and len(lines) <= _FEW_LINES else 1
        declared, computed, used = [], [], []
        for j, output in enumerate(stored):
            kind, value = TYPES[self._dtype(output)], self.values[output.value]
            declared += [f"{kind} value{j}[{n}];", f"long long place{j}[{n}];"]
            computed += [f"value{j}[u] = {value};"]
            computed += [f"place{j}[u] = {self._place(output.operand)};"]
            used += [f"p{output.operand}[place{j}[u]] = value{j}[u];"]
        for j, term in enumerate(terms):
            declared += [f"{TYPES[term.dtype]} term{j}[{n}];"]
            computed += [f"term{j}[u] = {term};"]
        by = {f"by_{index}": extent for index, extent in loops.items()}
        turns = [
            *before,
            *_indices(loops, "first"),
            *_indices(by, "stride"),
            "#pragma unroll 1",
            f"for (long long base = first; base < {count}; base += {n} * stride) {{",
            f"    const long long reach = {n + 1} * (long long)stride;",
            f"    const int left = (int)min({count} - base, reach);",
            *_inside(declared),
            "    #pragma unroll",
            f"    for (int u = 0; u < {n}; u++) {{",
            *_inside([*lines, *computed], 2),
            "        const bool more = (u + 1) * stride < left;",
            *_inside(_advanced(loops), 2),
            "    }",
            "    #pragma unroll",
            f"    for (int u = 0; u < {n}; u++) {{",
            "        const bool here = u * stride < left;",
            *_inside([f"if (here) {{ {' '.join(used)} }}"] if used else [], 2),
            *_inside(self._accumulated() if terms else [], 2),
            "    }",
            "}",
        ]
        # Where there is nothing, an extent may be zero.
        return [f"if (first < {count}) {{", *_inside(turns), "}"]

    # --- passes that reduce -------------------------------------------------------

    def _reduction(self) -> str:
        """Return the function that reduces elements, to parts if there are splits."""
        self._compute(range(1))
        outside = self.block.taken()
        self._compute(range(1, self.one.depth + 1))
        terms = [self.values[output.value] for output in self.one.reduced]
        loops = _loops(self.one.over)
        inside = self._reduced_loop(loops, "(int)splits", terms, self.one.stored)
        write = [
            "if (splits == 1) {",
            *_inside(self._results()),
            "} else {",
            *_inside(
                f"part{j}[blockIdx.y * n_kept + kept] = shared{j}[threadIdx.x];"
                for j in range(len(self.one.reduced))
            ),
            "}",
        ]
        head = [*outside, f"const long long n_reduced = {_product(self.one.over)};"]
        along = self.one.along_reduced
        return self._function("", self._tree(head, inside, write, along))

    def _combination(self) -> str:
        """Return the function that combines parts."""
        head = ["const long long n_reduced = splits;"]
        parts = [
            self.block.bind(f"part{j}[reduced * n_kept + kept]", self._dtype(output))
            for j, output in self._numbered()
        ]
        inside = self._reduced_loop({"reduced": "n_reduced"}, "1", parts)
        body = self._tree(head, inside, self._results(), False)
        return self._function("_combine", body)

    def _reduced_loop(
        self,
        loops: Mapping[str, str],
        splits: str,
        terms: Sequence[Scalar],
        stored: Sequence[Output] = (),
    ) -> list[str]:
        """Return the loop of a thread over elements it adds to its totals."""
        return [
            "const int first = blockIdx.y * turns + turn;",
            f"const int stride = {splits} * turns;",
            *self._loop(loops, "n_reduced", terms, stored),
        ]

    def _numbered(self) -> Iterable[tuple[int, Output]]:
        return enumerate(self.one.reduced)

    def _dtype(self, output: Output) -> str:
        return self.spec.operands[output.operand].dtype

    def _combined(self, output: Output, x: str, y: str, where: str = "") -> list[str]:
        """Return lines that set x to x and y combined, where that holds."""
        dtype = self._dtype(output)
        pair = (Scalar(self.block, text, dtype) for text in (x, y))
        total = _COMBINE[output.reduction](*pair)
        value = f"{where} ? {total} : {x}" if where else f"{total}"
        return [*self.block.taken(), f"{x} = {value};"]

    def _accumulated(self) -> list[str]:
        """Return lines that add terms to totals; a choice costs less than a branch."""
        return [
            line
            for j, output in self._numbered()
            for line in self._combined(output, f"total{j}", f"term{j}[u]", "here")
        ]

    def _results(self) -> list[str]:
        return [
            *_indices(_loops(self.one.kept), "kept"),
            *(self._store(o, f"shared{j}[threadIdx.x]") for j, o in self._numbered()),
        ]

    def _tree(
        self,
        head: list[str],
        inside: list[str],
        write: list[str],
        along_reduced: bool,
    ) -> str:
        """Return the reduction of what ``inside`` adds to totals, for each kept one."""
        turn, lane = _SHARES[along_reduced]

        def meet(n_turns: str) -> str:
            """Return the wait of so many turns that read each other's totals."""
            if not along_reduced:
                return "__syncthreads();"
            # In one warp they need not wait for the others.
            return f"if ({n_turns} <= 32) __syncwarp(); else __syncthreads();"

        pairs = [
            line
            for j, o in self._numbered()
            for line in self._combined(
                o, f"shared{j}[threadIdx.x]", f"shared{j}[threadIdx.x + apart]"
            )
        ]
        return _lines(
            *(
                f"__shared__ {TYPES[self._dtype(o)]} shared{j}[{THREADS}];"
                for j, o in self._numbered()
            ),
            "const int width = (int)lanes;",
            f"const int turns = {THREADS} / width;",
            f"const int turn = {turn};",
            f"const int lane = {lane};",
            *head,
            f"const long long n_kept = {_product(self.one.kept)};",
            *self._parts(),
            "for (long long group = blockIdx.x * lanes; group < n_kept; "
            "group += gridDim.x * lanes) {",
            "    const long long kept = group + lane;",
            *_inside(self._totals()),
            "    if (kept < n_kept) {",
            *_inside(_indices(_loops(self.one.kept), "kept"), 2),
            *_inside(inside, 2),
            "    }",
            *(f"    shared{j}[threadIdx.x] = total{j};" for j, _ in self._numbered()),
            f"    {meet('turns')}",
            "    for (int half = turns / 2; half > 0; half /= 2) {",
            "        if (turn < half) {",
            f"            const int apart = half{'' if along_reduced else ' * width'};",
            *_inside(pairs, 3),
            "        }",
            f"        {meet('2 * half')}",
            "    }",
            "    if (turn == 0 && kept < n_kept) {",
            *_inside(write, 2),
            "    }",
            "}",
        )

    def _parts(self) -> list[str]:
        """Return the places of the parts in the workspace, aligned like a vector."""
        lines = ["const long long room = (splits * n_kept + 15) / 16 * 16;"]
        before = "0"
        for j, output in self._numbered():
            kind = TYPES[self._dtype(output)]
            place = f"workspace + room * ({before})"
            lines.append(f"{kind} *part{j} = ({kind} *)({place});")
            before += f" + sizeof({kind})"
        return lines

    def _totals(self) -> list[str]:
        lines = []
        for j, output in self._numbered():
            dtype = self._dtype(output)
            identity = self._constant(output.identity(dtype), dtype)
            lines.append(f"{TYPES[dtype]} total{j} = {identity};")
        return lines


# --- text -------------------------------------------------------------------------


def _needed(spec: KernelSpec, outputs: Iterable[Output]) -> list[int]:
    """Return the numbers of the values that outputs depend on, in order."""
    found: set[int] = set()
    waiting = [output.value for output in outputs]
    while waiting:
        i = waiting.pop()
        if i not in found:
            found.add(i)
            if i >= spec.n_reads:
                waiting += spec.bindings[i - spec.n_reads].arguments
    return sorted(found)


def _product(levels: Iterable[int]) -> str:
    return " * ".join(f"n{k}" for k in levels) or "1"


def _loops(levels: Iterable[int]) -> dict[str, str]:
    """Return the names of the indices of loops, and of their extents."""
    return {f"i{k}": f"n{k}" for k in levels}


def _indices(loops: Mapping[str, str], flat: str) -> list[str]:
    """Return lines that split a flat index into those of loops."""
    lines, rest, outermost = [], flat, next(iter(loops), "")
    for index, extent in reversed([*loops.items()]):
        if index == outermost:
            lines.append(f"long long {index} = {rest};")
        else:
            lines.append(f"long long {index} = {rest} % {extent};")
            lines.append(f"const long long rest_{index} = {rest} / {extent};")
        rest = f"rest_{index}"
    return lines


def _advanced(loops: Mapping[str, str]) -> list[str]:
    """Return lines that add a stride to indices, where there is ``more``.

    They divide nothing and branch nowhere, so that a compiler can read ahead.
    """
    lines, carry, outermost = [], "", next(iter(loops), "")
    for index, extent in reversed([*loops.items()]):
        lines.append(f"{index} += (more ? by_{index} : 0){carry};")
        if index != outermost:
            lines.append(f"const bool over_{index} = {index} >= {extent};")
            lines.append(f"{index} -= over_{index} ? {extent} : 0;")
        carry = f" + over_{index}"
    return lines


def _inside(lines: Iterable[str], depth: int = 1) -> list[str]:
    return ["    " * depth + line for line in lines]


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)
