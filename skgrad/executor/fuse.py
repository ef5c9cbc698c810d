"""Fusion: equations that run over the same elements become one equation.

A *group* computes over one space of elements, with loops over the extents other than
1. What it computes is either a scalar or has an element for each turn of the loops, so
a value goes from one equation of the group to the next in a register. A reduction ends
a group: its result is known after the last turn, and its readers are in later groups.

Equations are grouped from the last to the first. Each joins the earliest group that
reads it, if it can: there the value is computed once and stored for later readers, if
any. A new group stands in front of all the others so far, so that every group reads
only from groups before it, whatever joins it later; no cycle can arise. Then groups
are merged, from the first to the last, with an earlier one over the same space that
computes or reads the same arrays. Both sweeps look at each equation once.

In the end a value that takes an operation or two of an argument, as standardised
inputs do, is computed again by each group that reads it, and not stored: to read the
argument takes as long as to read what would be made of it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skgrad.core.primitive import Abstract, Primitive
from skgrad.exceptions import GraphError
from skgrad.executor.graph import Equation, Graph, Variable
from skgrad.typing import Shape

__all__ = ["FUSED", "REDUCTIONS", "VIEWS", "fuse", "squeezed"]

VIEWS = frozenset(
    {"alias", "broadcast", "reshape", "slice", "transpose", "unpack", "windows"}
)
REDUCTIONS = frozenset({"max", "prod", "sum"})

_FLOATS = {name: np.dtype(name) for name in ("float64", "float32")}

# A kernel's live values should fit the registers of a processor, and its compilation
# should take milliseconds.
MAX_EQUATIONS = 96


def _fused_shape(*xs: Any, body: Graph) -> tuple[Abstract, ...]:
    found = [(x.shape, x.dtype) for x in xs]
    expected = [(x.shape, x.dtype) for x in body.inputs]
    if found != expected:
        raise GraphError(f"A fused equation of {expected} is given {found}.")
    return tuple(Abstract(v.shape, v.dtype) for v in body.outputs)


# What is computed again: so many of these operations.
CHEAP = frozenset({"add", "astype", "multiply", "negative", "subtract"})
MAX_AGAIN = 3


# Not registered: it exists only inside a graph, with the equations it stands for.
FUSED = Primitive("fused", _fused_shape)


def squeezed(shape: Shape) -> Shape:
    """Return the extents other than 1: the loops over an array."""
    return tuple(n for n in shape if n != 1)


@dataclass(eq=False)
class _Group:
    """Equations that become one."""

    space: Shape
    precision: str | None
    fusable: bool
    equations: list[int] = field(default_factory=list)
    position: int = 0


def fuse(graph: Graph) -> Graph:
    """Replace elementwise equations and reductions by fused ones.

    Parameters
    ----------
    graph : Graph
        A graph of primitives.

    Returns
    -------
    Graph
        The same function: every elementwise equation and every reduction is in the
        ``body`` of an equation of the primitive ``fused``; the other equations stay.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import functional as F, ops
    >>> from skgrad.executor import trace
    >>> from skgrad.executor.fuse import fuse
    >>> program = trace(lambda x, y: ops.sum(ops.square(x - y)), *[np.zeros(3)] * 2)
    >>> [equation.primitive.name for equation in program.graph.equations]
    ['subtract', 'square', 'sum']
    >>> [equation.primitive.name for equation in fuse(program.graph).equations]
    ['fused']
    """
    return _Fusion(graph).result()


class _Fusion:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.equations = graph.equations
        self.maker = {v: i for i, e in enumerate(self.equations) for v in e.outputs}
        self.group_of: dict[int, _Group] = {}
        self.again: dict[Variable, list[int]] = {}

    def result(self) -> Graph:
        return self._rebuilt(self._merged(self._grouped()))

    # --- from the last equation to the first --------------------------------------

    def _grouped(self) -> list[_Group]:
        """Return the groups in order of execution."""
        end = _Group((), None, False, position=-1)
        readers: dict[Variable, dict[_Group, bool]] = defaultdict(dict)
        groups: list[_Group] = []

        def reads(group: _Group, variable: Variable, aligned: bool) -> None:
            known = readers[variable]
            known[group] = known.get(group, True) and aligned

        for variable in self.graph.outputs:
            reads(end, variable, False)
        for i in range(len(self.equations) - 1, -1, -1):
            equation = self.equations[i]
            if equation.primitive.name in VIEWS:
                keeps = _keeps_elements(equation)
                for output in equation.outputs:
                    for group, aligned in list(readers[output].items()):
                        reads(group, equation.inputs[0], aligned and keeps)
                continue
            group = self._home(equation, readers) or _new_group(equation)
            if not group.equations:
                group.position = len(groups)
                groups.append(group)
            self._join(group, i)
            for variable in equation.inputs:
                reads(group, variable, _is_aligned(variable, group.space))
        return groups[::-1]

    def _home(
        self, equation: Equation, readers: dict[Variable, dict[_Group, bool]]
    ) -> _Group | None:
        """Return the group an elementwise equation can join: its first reader."""
        if equation.primitive.expression is None:
            return None
        known = readers[equation.outputs[0]]
        first = max(known, key=lambda group: group.position)
        if not first.fusable or not known[first]:
            return None
        candidate = _new_group(equation)
        if candidate.space and candidate.space != first.space:
            return None
        return first if _compatible(first, candidate) else None

    def _join(self, group: _Group, i: int) -> None:
        group.equations.append(i)
        group.precision = group.precision or _precision(self.equations[i])
        self.group_of[i] = group

    # --- from the first group to the last -----------------------------------------

    def _merged(self, groups: list[_Group]) -> list[_Group]:
        """Merge groups with earlier ones that compute or read the same arrays."""
        done: list[_Group] = []
        last_reader: dict[Variable, _Group] = {}
        last_scalar: dict[str | None, _Group] = {}
        for group in groups:
            group.equations.sort()
            bases = self._bases(group)
            home = None
            if group.fusable:
                seen = [last_reader[base] for base in bases if base in last_reader]
                if not group.space:
                    seen += [g for p, g in last_scalar.items() if p == group.precision]
                home = self._earlier(group, bases, seen)
            if home is None:
                home = group
                group.position = len(done)
                done.append(group)
            else:
                home.space = home.space or group.space
                home.precision = home.precision or group.precision
                for i in group.equations:
                    self.group_of[i] = home
                home.equations.extend(group.equations)
            if home.fusable:
                last_reader.update(dict.fromkeys(bases, home))
            if home.fusable and not home.space:
                last_scalar[home.precision] = home
        return done

    def _bases(self, group: _Group) -> dict[Variable, bool]:
        """Return what a group reads from outside, views resolved, and if aligned."""
        bases: dict[Variable, bool] = {}
        for i in group.equations:
            for variable in self.equations[i].inputs:
                aligned = _is_aligned(variable, group.space)
                base = variable
                while (view := self._view(base)) is not None:
                    aligned = aligned and _keeps_elements(view)
                    base = view.inputs[0]
                if self.group_of.get(self.maker.get(base, -1)) is not group:
                    bases[base] = bases.get(base, True) and aligned
        return bases

    def _base(self, variable: Variable) -> Variable:
        """Return what a variable is a view of, or itself."""
        while (view := self._view(variable)) is not None:
            variable = view.inputs[0]
        return variable

    def _view(self, variable: Variable) -> Equation | None:
        maker = self.maker.get(variable)
        if maker is None or self.equations[maker].primitive.name not in VIEWS:
            return None
        return self.equations[maker]

    def _earlier(
        self, group: _Group, bases: dict[Variable, bool], seen: list[_Group]
    ) -> _Group | None:
        """Return an earlier group that can take in the equations of this one."""
        made = [(self.maker[b], b) for b in bases if b in self.maker]
        producers = [self.group_of[i] for i, _ in made]
        latest = max((p.position for p in producers), default=-1)
        for home in sorted({*seen, *producers}, key=lambda g: -g.position):
            if home.position < latest or not home.fusable:
                continue
            if home.space and group.space and home.space != group.space:
                continue
            read = [(i, b) for i, b in made if self.group_of[i] is home]
            if not _compatible(home, group) or not all(
                self._in_register(i, b, bases[b], home.space or group.space)
                for i, b in read
            ):
                continue
            return home
        return None

    def _in_register(self, i: int, base: Variable, aligned: bool, space: Shape) -> bool:
        """Return whether a group's value can be read within the group."""
        reduced = self.equations[i].primitive.name in REDUCTIONS
        return aligned and not reduced and _is_aligned(base, space)

    # --- the new graph ------------------------------------------------------------

    def _rebuilt(self, groups: list[_Group]) -> Graph:
        outside = {*self.graph.outputs, *map(self._base, self.graph.outputs)}
        self.again = self._computed_again(groups, outside)
        for group in groups:
            outside.update(self._read_outside(group))
        equations: list[Equation] = []
        defined: set[Variable] = set()
        for group in groups:
            if group.fusable:
                made = self._fused(group, outside)
            else:
                made = self.equations[group.equations[0]]
            if not made.outputs:  # all of it is computed again
                continue
            equations.extend(self._views(made.inputs, defined))
            equations.append(made)
        equations.extend(self._views(self.graph.outputs, defined))
        return replace(self.graph, equations=tuple(equations))

    def _computed_again(
        self, groups: list[_Group], returned: set[Variable]
    ) -> dict[Variable, list[int]]:
        """Return the matrices that their readers compute anew, and by which equations.

        All readers must be able to: groups that read the elements as they are.
        """
        again: dict[Variable, list[int]] = {}
        stored = set(returned)
        for group in groups:
            for i in group.equations:
                for variable in self.equations[i].inputs:
                    base = self._base(variable)
                    maker = self.maker.get(base)
                    if maker is None or self.group_of[maker] is group:
                        continue
                    if base not in again:
                        again[base] = self._cheaply(base)
                    same = base is variable and squeezed(base.shape) == group.space
                    if not (same and self._takes(group, again[base])):
                        stored.add(base)
        return {v: made for v, made in again.items() if made and v not in stored}

    def _takes(self, group: _Group, made: list[int]) -> bool:
        """Tell whether a group can compute equations of another one as well."""
        kinds = {_precision(self.equations[i]) for i in made} - {None}
        return group.fusable and kinds <= {group.precision}

    def _cheaply(self, variable: Variable) -> list[int]:
        """Return the few equations that make a matrix of one argument, or none."""
        if len(squeezed(variable.shape)) < 2:
            return []
        group = self.group_of[self.maker[variable]]
        size = math.prod(variable.shape)
        made: set[int] = set()
        large: set[Variable] = set()
        left = [self.maker[variable]]
        while left:
            i = left.pop()
            made.add(i)
            if self.equations[i].primitive.name not in CHEAP or len(made) > MAX_AGAIN:
                return []
            for read in self.equations[i].inputs:
                base = self._base(read)
                maker = self.maker.get(base)
                if maker is not None and self.group_of[maker] is group:
                    if base is not read:
                        return []
                    left.append(maker)
                elif math.prod(base.shape) >= size:
                    large.add(base)
        one = len(large) == 1 and large <= set(self.graph.inputs)
        return sorted(made) if one else []

    def _inside(self, group: _Group, variable: Variable) -> list[Equation] | None:
        """Return the views from a value of the group to a variable, or None."""
        views: list[Equation] = []
        while (view := self._view(variable)) is not None:
            views.append(view)
            variable = view.inputs[0]
        inside = self.group_of.get(self.maker.get(variable, -1)) is group
        return views[::-1] if inside else None

    def _read_outside(self, group: _Group) -> Iterator[Variable]:
        """Yield what a group reads from others: the variables and their bases."""
        for i in group.equations:
            for variable in self.equations[i].inputs:
                if self._inside(group, variable) is None and variable not in self.again:
                    yield variable
                    yield self._base(variable)

    def _fused(self, group: _Group, outside: set[Variable]) -> Equation:
        body: list[Equation] = []
        inputs: dict[Variable, None] = {}
        inner: set[Variable] = set()
        again = self._again_in(group)
        for i in (*again, *group.equations):
            for variable in self.equations[i].inputs:
                if self.maker.get(variable) in again:
                    continue
                views = self._inside(group, variable)
                if views is None:
                    inputs[variable] = None
                for view in views or ():
                    if view.outputs[0] not in inner:
                        inner.update(view.outputs)
                        body.append(view)
            body.append(self.equations[i])
        outputs = tuple(
            v
            for i in group.equations
            for v in self.equations[i].outputs
            if v in outside
        )
        graph = Graph(tuple(inputs), {}, tuple(body), outputs, "fused")
        frame = self.equations[group.equations[-1]].frame
        return Equation(FUSED, graph.inputs, {"body": graph}, outputs, frame)

    def _again_in(self, group: _Group) -> list[int]:
        """Return the equations of other groups that a group computes again."""
        read = {v for i in group.equations for v in self.equations[i].inputs}
        makers = {i for v in read for i in self.again.get(v, ())}
        return sorted(i for i in makers if self.group_of[i] is not group)

    def _views(
        self, variables: Iterable[Variable], defined: set[Variable]
    ) -> Iterator[Equation]:
        """Yield the views that define variables and are not defined yet."""
        for variable in variables:
            chain: list[Equation] = []
            source = variable
            while source not in defined and (view := self._view(source)) is not None:
                chain.append(view)
                defined.update(view.outputs)
                source = view.inputs[0]
            yield from reversed(chain)


def _new_group(equation: Equation) -> _Group:
    name = equation.primitive.name
    fusable = equation.primitive.expression is not None or name in REDUCTIONS
    # A reduction runs over what it reads, everything else over what it makes.
    variable = (equation.inputs if name in REDUCTIONS else equation.outputs)[0]
    space = squeezed(variable.shape)
    return _Group(space, _precision(equation) if fusable else None, fusable, [])


def _precision(equation: Equation) -> str | None:
    """Return the widest floating dtype an equation touches.

    A kernel has one precision: a double among floats would halve its speed.
    """
    dtypes = {v.dtype for v in (*equation.inputs, *equation.outputs)}
    return next((name for name, dtype in _FLOATS.items() if dtype in dtypes), None)


def _compatible(home: _Group, group: _Group) -> bool:
    size = len(home.equations) + max(1, len(group.equations))
    same = not (home.precision and group.precision) or home.precision == group.precision
    return same and size <= MAX_EQUATIONS


def _is_aligned(variable: Variable, space: Shape) -> bool:
    """Return whether a variable is a scalar or has one element per turn."""
    own = squeezed(variable.shape)
    return own in ((), space)


def _keeps_elements(view: Equation) -> bool:
    """Return whether a view has the elements it views, in the same order."""
    name, (x,), (out, *_) = view.primitive.name, view.inputs, view.outputs
    if name == "unpack" or squeezed(x.shape) != squeezed(out.shape):
        # A scalar seen at every turn is still in its register.
        return name == "broadcast" and not squeezed(x.shape)
    if name == "transpose":
        axes = [a % len(x.shape) for a in view.params["axes"]]
        lead = len(x.shape) - len(axes)
        order = [*range(lead), *axes]
        moved = [a for a in order if x.shape[a] != 1]
        return moved == sorted(moved)
    return name not in ("slice", "windows") or x.shape == out.shape
