"""Files that use each other in a circle: what is said of them, and which of their `use` lines take nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from dsl import ast
from dsl.diagnostics import Diagnostic, Related
from dsl.source import Span
from dsl.vocabulary import files


@dataclass(frozen=True)
class Using:
    """A file on the way from the first one to where we are, with the `use` that leads to the next."""

    name: str
    statements: Sequence[ast.Statement]
    use: Span | None = None


def circle(way: Sequence[Using]) -> Diagnostic:
    """The fault of a way that comes back to its first file by the last `use`."""
    needless = []
    for here, there in zip(way, [*way[1:], way[0]], strict=True):
        if here.use is not None and not _takes(here.statements, there.statements):
            needless.append((here.use, (here.name, here.use.line, there.name)))
    found = files.use_in_circle([*(file.name for file in way), way[0].name], [words for _, words in needless])
    related = [Related(file.use, f"uses {there.name}") for file, there in pairwise(way) if file.use is not None]
    return replace(found, facts={"needless": [use for use, _ in needless]}).at(way[-1].use, related=related)


def _takes(statements: Sequence[ast.Statement], used: Sequence[ast.Statement]) -> bool:
    """May a file take something from one that it uses? That is so where that one brings further files, which are not looked into."""
    if sum(isinstance(s, ast.Use) for s in used) > 1:
        return True
    own = {s.name for s in statements if isinstance(s, ast.Block)} if statements is not used else set()
    there = {s.name for s in used if isinstance(s, (ast.Block, ast.Arch))}
    return any(name in there for name in _mentioned(statements) if name not in own)


def _mentioned(statements: Sequence[ast.Statement]) -> Iterator[str]:
    """The words of a file that may be names of blocks and networks."""
    for statement in statements:
        for node in ast.walk(statement):
            match node:
                case ast.Op() | ast.Merge():
                    yield from (node.word, node.word.rstrip("0123456789x"))
                case ast.Name() | ast.CallExpr():
                    yield node.name
                case _:
                    pass
