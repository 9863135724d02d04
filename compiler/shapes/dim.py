"""One size of a shape: a whole number, or a formula over unknown sizes such as `(H-1)//2+1`.

A formula is a polynomial whose atoms are unknowns and floor divisions. It is kept in a canonical form, so two formulas are
equal if their texts are. Two identities of whole numbers keep the formulas of convolution chains short:
`((H+a)//m + b)//n = (H+a+b*m)//(m*n)`, and `(m*q + r)//m = q + r//m`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd

from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says

MOST_TERMS = 200
HIGHEST_DEGREE = 8


@dataclass(frozen=True, order=True)
class Unknown:
    """A size that the file names and leaves open."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Floor:
    """`numerator // divisor`, where the numerator keeps its constant between 0 and divisor - 1."""

    numerator: Formula
    divisor: int

    def __str__(self) -> str:
        return self.text

    @cached_property
    def text(self) -> str:
        """Return the text of the division, in the form that is easiest to read."""
        shift = self.numerator.constant
        inside = str(self.numerator + (_signed(shift, self.divisor) - shift))
        return f"{inside if inside.isalnum() else f'({inside})'}//{self.divisor}"


Atom = Unknown | Floor
Monomial = tuple[Atom, ...]  # a product of atoms, sorted; the empty product is 1


@dataclass(frozen=True)
class Formula:
    """A sum of integer multiples of monomials. Build one only with `unknown` and arithmetic."""

    terms: tuple[tuple[Monomial, int], ...]

    # ---- arithmetic: `+ - *` with numbers and formulas, `//` and `%` by a positive number

    def __add__(self, other: Dim) -> Dim:
        total = dict(self.terms)
        for monomial, factor in _terms(other):
            total[monomial] = total.get(monomial, 0) + factor
        return _make(total)

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + -other

    def __rsub__(self, other: int) -> Dim:
        return -self + other

    def __mul__(self, other: Dim) -> Dim:
        total: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in _terms(other):
                monomial = tuple(sorted(left + right, key=str))
                total[monomial] = total.get(monomial, 0) + a * b
        return _make(total)

    __rmul__ = __mul__

    def __floordiv__(self, divisor: int) -> Dim:
        if divisor < 1:
            raise ZeroDivisionError(f"a size is divided by {divisor}")
        whole: dict[Monomial, int] = {}
        rest: dict[Monomial, int] = {}
        for monomial, factor in self.terms:
            # Splitting a floor over two terms would double the formula at every step of a chain; it moves out whole or not at all.
            splits = all(isinstance(atom, Unknown) for atom in monomial) or factor % divisor == 0
            whole[monomial], rest[monomial] = divmod(factor, divisor) if splits else (0, factor)
        return _make(whole) + _floor(_make(rest), divisor)

    def __mod__(self, divisor: int) -> Dim:
        return self - self // divisor * divisor

    # ---- queries

    @property
    def constant(self) -> int:
        """Return the constant term."""
        return dict(self.terms).get((), 0)

    @cached_property
    def unknowns(self) -> frozenset[str]:
        """Return the names of the unknowns."""
        return frozenset(_unknowns(self))

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """Return the value at the given sizes."""
        total = 0
        for monomial, factor in self.terms:
            for atom in monomial:
                if isinstance(atom, Unknown):
                    factor *= sizes[atom.name]
                else:
                    factor *= atom.numerator.evaluate(sizes) // atom.divisor
            total += factor
        return total

    def period(self) -> int:
        """Return a step p for which `f(H + p) - f(H)` is the same at every H, for formulas of degree one."""
        period = 1
        for monomial, _ in self.terms:
            for atom in monomial:
                if isinstance(atom, Floor):
                    inner = atom.numerator.period() * atom.divisor
                    period = period * inner // gcd(period, inner)
        return period

    @property
    def linear(self) -> bool:
        """Return whether every monomial is a single atom whose inside is linear too."""
        return all(len(monomial) <= 1 and all(isinstance(a, Unknown) or a.numerator.linear for a in monomial) for monomial, _ in self.terms)

    def __str__(self) -> str:
        # ceil(x/m) is stored as (x+m-1)//m, but (x-1)//m + 1 is easier to read.
        constant = self.constant
        parts: list[tuple[int, str]] = []
        for monomial, factor in self.terms:
            if not monomial:
                continue
            if len(monomial) == 1:
                constant += factor * _carry(monomial[0])
                plain = factor == 1 or isinstance(monomial[0], Unknown)
                parts.append((factor, str(monomial[0]) if plain else f"({monomial[0]})"))
            else:
                parts.append((factor, "*".join(_whole_text(atom) for atom in monomial)))
        text = ""
        for factor, name in parts:
            sign = "-" if factor < 0 else "+" if text else ""
            text += f"{sign}{name}" if abs(factor) == 1 else f"{sign}{abs(factor)}*{name}"
        if constant or not text:
            text += f"{constant:+d}" if text else str(constant)
        return text

    __repr__ = __str__


Dim = int | Formula
Shape = tuple[Dim, ...]


def unknown(name: str) -> Formula:
    """Return the formula of one unknown."""
    return Formula((((Unknown(name),), 1),))


def evaluate(dim: Dim, sizes: Mapping[str, int]) -> int:
    """Return the value of a size at the given sizes of its unknowns."""
    return dim if isinstance(dim, int) else dim.evaluate(sizes)


def unknowns(dim: Dim) -> frozenset[str]:
    """Return the names of the unknowns in a size."""
    return frozenset() if isinstance(dim, int) else dim.unknowns


def product(dims: Shape) -> Dim:
    """Return the product of the sizes of a shape."""
    total: Dim = 1
    for dim in dims:
        total = total * dim
    return total


def show_shape(shape: Shape) -> str:
    """Return `64x112x112`; formulas are set off by spaces: `64 x (H-1)//2+1 x W`."""
    texts = [str(dim) for dim in shape]
    plain = all(text.isalnum() for text in texts)
    return ("x" if plain else " x ").join(texts)


def show_sizes(sizes: Sequence[object], write: Callable[[object], str] = str) -> str:
    """One value for each axis, as the language writes them: `3` where all are equal, else `1x7`; `write` writes one value."""
    return write(sizes[0]) if sizes and len(set(sizes)) == 1 else "x".join(map(write, sizes))


def _terms(dim: Dim) -> tuple[tuple[Monomial, int], ...]:
    return (((), dim),) if isinstance(dim, int) else dim.terms


def _make(terms: Mapping[Monomial, int]) -> Dim:
    kept = {monomial: factor for monomial, factor in terms.items() if factor}
    if not kept:
        return 0
    if set(kept) == {()}:
        return kept[()]
    if len(kept) > MOST_TERMS or max(map(len, kept)) > HIGHEST_DEGREE:
        raise Fault(says.too_complicated())
    return Formula(tuple(sorted(kept.items(), key=lambda term: (not term[0], [str(a) for a in term[0]]))))


def _floor(numerator: Dim, divisor: int) -> Dim:
    if divisor == 1 or isinstance(numerator, int):
        return numerator // divisor
    shared = gcd(divisor, *(factor for monomial, factor in numerator.terms if monomial))
    if shared > 1:  # (g*p + c)//(g*m) = (p + c//g)//m
        reduced = {monomial: factor // shared for monomial, factor in numerator.terms}
        return _make(reduced) // (divisor // shared)
    varying = [(monomial, factor) for monomial, factor in numerator.terms if monomial]
    if len(varying) == 1 and varying[0][1] == 1 and len(varying[0][0]) == 1:
        atom = varying[0][0][0]
        if isinstance(atom, Floor):  # (p//n + c)//m = (p + c*n)//(n*m)
            return (atom.numerator + numerator.constant * atom.divisor) // (atom.divisor * divisor)
    return Formula((((Floor(numerator, divisor),), 1),))


def _signed(shift: int, divisor: int) -> int:
    """Return a shift inside a floor division as displayed: `m-1` as `-1`."""
    return shift - divisor if shift > divisor // 2 or shift == divisor - 1 else shift


def _carry(atom: Atom) -> int:
    """Return what the text of an atom leaves out: 1 for `(x-1)//m`, which denotes `(x+m-1)//m`."""
    return int(isinstance(atom, Floor) and _signed(atom.numerator.constant, atom.divisor) < 0)


def _whole_text(atom: Atom) -> str:
    """Return an atom as a factor, with nothing left out."""
    if isinstance(atom, Unknown):
        return atom.name
    return f"({atom}+1)" if _carry(atom) else f"({atom})"


def _unknowns(formula: Formula) -> Iterator[str]:
    for monomial, _ in formula.terms:
        for atom in monomial:
            if isinstance(atom, Unknown):
                yield atom.name
            else:
                yield from _unknowns(atom.numerator)


# ---- as plain data, for files


def to_plain(dim: Dim) -> int | dict[str, object]:
    """Convert a size to plain data: a number as it is, a formula as its text with its terms."""
    if isinstance(dim, int):
        return dim
    terms = [
        [factor, [a.name if isinstance(a, Unknown) else {"floor": to_plain(a.numerator), "by": a.divisor} for a in monomial]]
        for monomial, factor in dim.terms
    ]
    return {"text": str(dim), "terms": terms}


def from_plain(data: object) -> Dim:
    """Convert plain data back to a size: the inverse of `to_plain`."""
    if isinstance(data, int):
        return data
    assert isinstance(data, dict)
    total: Dim = 0
    for factor, atoms in data["terms"]:
        term: Dim = factor
        for atom in atoms:
            term = term * (unknown(atom) if isinstance(atom, str) else from_plain(atom["floor"]) // atom["by"])
        total = total + term
    return total
