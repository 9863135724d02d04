"""Rename what a name means, and prove that nothing else has changed: the texts are checked again, and the networks compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from archc.compiler.elaborate.reserved import MODULE_NAMES
from archc.compiler.index.symbols import BLOCK, LABEL, OPEN_SIZE, SHARED, Symbol
from archc.compiler.ops import OPERATORS
from archc.compiler.report import Report

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LABELS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(-[A-Za-z0-9_]+)*|[0-9]+")
SIZE = re.compile(r"[A-Z][a-wyzA-Z0-9_]*")
MOST_SHOWN = 8


class CannotRename(Exception):
    """A name cannot be changed; the message says why."""


@dataclass(frozen=True)
class Effect:
    """What a renaming does to a network: the keys of weights that change, as pairs of before and after."""

    keys: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        if not self.keys:
            return "no key of a weight changes"
        shown = ", ".join(f"{before} -> {after}" for before, after in self.keys[:MOST_SHOWN])
        more = f", and {len(self.keys) - MOST_SHOWN} more" if len(self.keys) > MOST_SHOWN else ""
        return f"{len(self.keys)} key{'s' * (len(self.keys) > 1)} of weights change{'s' * (len(self.keys) == 1)}: {shown}{more}"


def check_name(symbol: Symbol, name: str) -> None:
    """Refuse a name that cannot be one of this kind. Raises CannotRename."""
    pattern = LABELS if symbol.kind == LABEL else SIZE if symbol.kind == OPEN_SIZE else WORD
    if pattern.fullmatch(name) is None:
        raise CannotRename(f"`{name}` cannot be the name of a {symbol.kind}")
    if symbol.kind in (BLOCK, SHARED) and name.lower() in OPERATORS:
        raise CannotRename(f"`{name}` is an operator")
    if symbol.kind == LABEL and name in MODULE_NAMES:
        raise CannotRename(f"`{name}` is what modules of torch have too, so it cannot be a label")


def effect(before: Mapping[str, Report], check: Callable[[str], Report]) -> Effect:
    """Compare the networks of some texts before and after a renaming, by `check`, which returns the report of a changed text.

    Raises CannotRename where there would be new errors, or another network.
    """
    keys: dict[tuple[str, str], None] = {}
    for text, old in before.items():
        new = check(text)
        if len(new.diagnostics) > len(old.diagnostics):
            known = {(found.code, found.message) for found in old.diagnostics}
            first = next((d for d in new.diagnostics if (d.code, d.message) not in known), new.diagnostics[0])
            raise CannotRename(f"it would be an error, {first.code}: {first.message}")
        nodes, renamed = list(old.graph), list(new.graph)
        alike = len(nodes) == len(renamed) and all(
            (a.op, a.attrs, a.shape) == (b.op, b.attrs, b.shape) for a, b in zip(nodes, renamed, strict=True)
        )
        if not alike or _wiring(old) != _wiring(new):
            raise CannotRename("it would make another network, since the new name means something else somewhere")
        for a, b in zip(nodes, renamed, strict=True):
            if a.key != b.key:
                for tensor in (*a.operator.weights(a.call), *a.operator.buffers(a.call)):
                    keys[f"{a.key}.{tensor}".rstrip("."), f"{b.key}.{tensor}".rstrip(".")] = None
    return Effect(tuple(keys))


def _wiring(report: Report) -> list[list[int]]:
    places = {node.name: number for number, node in enumerate(report.graph)}
    return [[places[operand.name] for operand in node.operands] for node in report.graph]
