"""Conditions on unknown sizes for a network to be legal, and the sizes that satisfy them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import lcm

from archc.compiler.shapes.dim import Dim, evaluate, unknowns

Steps = tuple[int, int | None]  # the first and the last of a range of numbers from 0; None: without an end
MOST_TRIALS = 20_000  # conditions times residue classes; above this, legal sizes are not computed


@dataclass(frozen=True)
class Condition:
    """`left >= right` or `left == right`, for sizes that are formulas; with an `other`, `left == right or left == other`."""

    left: Dim
    relation: str
    right: Dim
    other: Dim | None = None

    def holds(self, sizes: dict[str, int]) -> bool:
        """Return whether the condition holds at the given sizes."""
        left, right = evaluate(self.left, sizes), evaluate(self.right, sizes)
        if self.relation == ">=":
            return left >= right
        return left == right or (self.other is not None and left == evaluate(self.other, sizes))

    @property
    def formulas(self) -> tuple[Dim, ...]:
        """Return the formulas that are compared."""
        return (self.left, self.right) if self.other is None else (self.left, self.right, self.other)

    @property
    def unknowns(self) -> set[str]:
        """Return the names of the open sizes that it is about."""
        return set().union(*(unknowns(formula) for formula in self.formulas))

    @property
    def alternatives(self) -> tuple[Condition, ...]:
        """Return conditions of two formulas, of which one must hold."""
        return (self,) if self.other is None else (replace(self, other=None), replace(self, right=self.other, other=None))

    def __str__(self) -> str:
        also = "" if self.other is None else f" or {self.left} {self.relation} {self.other}"
        return f"{self.left} {self.relation} {self.right}{also}"


@dataclass(frozen=True)
class Legal:
    """The legal values of one unknown: those of each residue class modulo `period` within its bounds."""

    name: str
    period: int
    classes: tuple[tuple[int, int | None], ...]  # (smallest, largest or None) of each class that has any

    def admits(self, size: int) -> bool:
        """Return whether a size is legal."""
        return any(size >= low and (size - low) % self.period == 0 and (high is None or size <= high) for low, high in self.classes)

    @property
    def values_text(self) -> str:
        """Return the values alone: `1, 3, 5, ...`."""
        return str(self).removeprefix(f"{self.name} = ")

    @property
    def multiple(self) -> int:
        """Return the number whose multiples, from some size on, are the legal sizes; 0 if there is no such number."""
        text = str(self).rpartition(" a multiple of ")
        return int(text[2]) if text[1] else 0

    def near(self, size: int) -> list[int]:
        """Return the next legal sizes below and above an illegal one, within one period."""
        below = next((n for n in range(size - 1, max(0, size - self.period) - 1, -1) if self.admits(n)), None)
        above = next((n for n in range(size + 1, size + self.period + 1) if self.admits(n)), None)
        return [n for n in (below, above) if n is not None]

    def __str__(self) -> str:
        if not self.classes:
            return f"no {self.name} is legal"
        lows = sorted(low for low, _ in self.classes)
        if lows[-1] >= lows[0] + self.period or any(high is not None for _, high in self.classes):
            parts = [_class_text(low, high, self.period) for low, high in sorted(self.classes)[:6]]
            more = ", ..." if len(self.classes) > 6 else ""
            return f"{self.name} in {{{', '.join(parts)}{more}}}"
        return self._periodic(lows[0])

    def _periodic(self, least: int) -> str:
        """Describe residue classes without an upper bound, from the least value on."""
        legal = {low % self.period for low, _ in self.classes}
        divisors = (n for n in range(1, self.period + 1) if self.period % n == 0)
        step = next(n for n in divisors if all((residue + n) % self.period in legal for residue in legal))
        residues = [n % step for n in range(least, least + step) if n % self.period in legal]
        if len(residues) == step:
            return f"{self.name} >= {least}"
        if len(residues) == 1 and least % step == 0:
            return f"{self.name} >= {least} and {self.name} a multiple of {step}"
        if len(residues) == 1:
            return f"{self.name} = {least}, {least + step}, {least + 2 * step}, ..."
        first = min(residue or step for residue in residues)  # the least positive number of these residues
        bound = f"{self.name} >= {least} and " if least > first else ""
        return f"{bound}{self.name} mod {step} in {', '.join(_runs(residues))}"


def _runs(numbers: Sequence[int]) -> Iterator[str]:
    """Yield `25..31, 0` for 25, 26, ..., 31, 0."""
    begin = 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or numbers[end] != numbers[end - 1] + 1:
            run = [str(number) for number in numbers[begin:end]]
            yield f"{run[0]}..{run[-1]}" if len(run) > 2 else ", ".join(run)
            begin = end


def _class_text(low: int, high: int | None, period: int) -> str:
    if high == low:
        return str(low)
    return f"{low}, {low + period}, ..." if high is None else f"{low}, ..., {high}"


def legal_sizes(name: str, conditions: Iterable[Condition]) -> Legal | None:
    """Solve the conditions for one unknown, exactly; None if formulas multiply unknowns or there are too many cases.

    A formula of floor divisions grows by the same amount over each whole period, so on each residue class every condition is
    linear and yields a bound.
    """
    mine = []
    for condition in dict.fromkeys(conditions):
        names = condition.unknowns
        if name not in names:
            continue
        if names != {name} or not all(map(_linear, condition.formulas)):
            return None
        mine.append(condition)
    period = lcm(*(_period(formula) for condition in mine for formula in condition.formulas))
    if period * len(mine) > MOST_TRIALS:
        return None
    classes = []
    for residue in range(1, period + 1):
        ranges: list[Steps] = [(0, None)]
        for condition in mine:
            solved = [steps for each in condition.alternatives if (steps := _solve(each, name, residue, period)) is not None]
            both = (_intersection(known, steps) for known in ranges for steps in solved)
            ranges = list(dict.fromkeys(steps for steps in both if steps is not None))
        classes += [(residue + low * period, None if high is None else residue + high * period) for low, high in ranges]
    return Legal(name, period, tuple(classes))


def contradiction(name: str, conditions: Iterable[Condition]) -> list[Condition]:
    """Return a minimal set of conditions, in order, that leave an unknown no value; of an unknown that has none (see `legal_sizes`).

    The last condition of the shortest contradictory prefix is one of them; the same holds for the rest, given that one.
    """
    known = [c for c in dict.fromkeys(conditions) if name in c.unknowns]
    found: list[Condition] = []

    def impossible(some: list[Condition]) -> bool:
        legal = legal_sizes(name, some)
        return legal is not None and not legal.classes

    while not impossible(found):
        low, high = 1, len(known)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if impossible([*found, *known[:middle]]) else (middle + 1, high)
        if not known:
            return found
        found.insert(0, known[low - 1])
        known = known[: low - 1]
    return found


def _intersection(a: Steps, b: Steps) -> Steps | None:
    """Return the steps of both; None if there are none."""
    low = max(a[0], b[0])
    high = min((end for end in (a[1], b[1]) if end is not None), default=None)
    return None if high is not None and high < low else (low, high)


def _solve(condition: Condition, name: str, residue: int, period: int) -> Steps | None:
    """Return the bounds of the steps t >= 0 for which the condition holds at `residue + t*period`; None if there are none."""
    gap, next_gap = (evaluate(condition.left, {name: at}) - evaluate(condition.right, {name: at}) for at in (residue, residue + period))
    slope = next_gap - gap
    if condition.relation == "==":
        if slope == 0:
            return (0, None) if gap == 0 else None
        t, left_over = divmod(-gap, slope)
        return (t, t) if left_over == 0 and t >= 0 else None
    if slope == 0:
        return (0, None) if gap >= 0 else None
    if slope > 0:
        return max(0, -(gap // slope)), None
    return (0, gap // -slope) if gap >= 0 else None


def _linear(dim: Dim) -> bool:
    return isinstance(dim, int) or dim.linear


def _period(dim: Dim) -> int:
    return 1 if isinstance(dim, int) else dim.period()
