"""Files that use each other in a circle: what is said of them, and which of their `use` lines take nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Related
from archc.dsl.source import Span
from archc.dsl.vocabulary import files


@dataclass(frozen=True)
class Using:
    """A file on the way from the first one to where we are, with the `use` that leads to the next."""

    name: str
    statements: Sequence[ast.Statement]
    use: Span | None = None


def circle(way: Sequence[Using]) -> Diagnostic:
    """Report files that use each other in a circle, at a `use` that can be removed if there is one."""
    steps = list(zip(way, [*way[1:], way[0]], strict=True))
    needless = [(here, there) for here, there in steps if not _takes(here.statements, there.statements)]
    at = needless[0][0].use if needless else way[-1].use
    told = [(here.name, here.use.line, there.name) for here, there in needless if here.use is not None]
    found = files.use_in_circle([*(file.name for file in way), way[0].name], told)
    related = [Related(here.use, f"uses {there.name}") for here, there in steps if here.use is not None and here.use is not at]
    return found.with_facts(needless=bool(needless)).at(at, related=related)


def _takes(statements: Sequence[ast.Statement], used: Sequence[ast.Statement]) -> bool:
    """Return whether a file may take something from one that it uses. It may where that one uses further files, which are not inspected."""
    if sum(isinstance(s, ast.Use) for s in used) > 1:
        return True
    own = {s.name for s in statements if isinstance(s, ast.Block)} if statements is not used else set()
    there = {s.name for s in used if isinstance(s, (ast.Block, ast.Arch))}
    return any(name in there for name in _mentioned(statements) if name not in own)


def _mentioned(statements: Sequence[ast.Statement]) -> Iterator[str]:
    """Yield the words of a file that may be names of blocks and networks."""
    for statement in statements:
        for node in ast.walk(statement):
            match node:
                case ast.Op() | ast.Merge():
                    yield from (node.word, node.word.rstrip("0123456789x"))
                case ast.Name() | ast.CallExpr():
                    yield node.name
                case _:
                    pass
