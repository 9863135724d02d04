"""The text of the classes and functions of archc that PyTorch lacks, with all that they need."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MODULES = Path(__file__).resolve().parents[1] / "torch" / "modules"


# Classes that are shorter than those of archc: they need not be traced by torch.fx, or take fewer kinds of operands.
SHORTER = '''
class SelfAttention(nn.MultiheadAttention):
    """nn.MultiheadAttention of a row of tokens `(N, C, L)` with itself."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        x = x.movedim(1, -1)
        return super().forward(x, x, x, need_weights=False)[0].movedim(-1, 1)


class Gelu(nn.GELU):
    """nn.GELU, computed where the channels are last in memory: PyTorch rounds differently for other layouts."""

    def forward(self, x: Tensor) -> Tensor:
        moved = x.movedim(1, -1)
        return super().forward(moved).movedim(-1, 1) if moved.is_contiguous() else super().forward(x)
'''


def called(target: str, used: set[str]) -> str:
    """Return what a file calls a target, `nn.Conv2d` or `archc.Gelu`; a name of archc is added to those that are `used`."""
    space, _, rest = target.partition(".")
    if space != "archc":
        return target
    used.add(rest)
    return rest


@dataclass(frozen=True)
class Definition:
    """A definition of a module file: its text, the names in it, and what the file imports, by name."""

    place: tuple[str, int]
    text: str
    names: frozenset[str]
    imports: dict[str, str]


@cache
def _definitions() -> dict[str, Definition]:
    """Return the definitions of all files of modules, by name. The files are read, and not imported: they import torch."""
    found: dict[str, Definition] = {}
    texts = [(path.name, path.read_text(encoding="utf-8")) for path in sorted(MODULES.glob("*.py")) if path.name != "__init__.py"]
    for file, source in [*texts, ("", SHORTER)]:
        tree = ast.parse(source)
        imports: dict[str, str] = {}
        for node in tree.body:
            if isinstance(node, ast.Import):
                imports.update({alias.asname or alias.name: ast.unparse(ast.Import([alias])) for alias in node.names})
            elif isinstance(node, ast.ImportFrom) and node.module != "__future__" and not (node.module or "").startswith("archc."):
                for alias in node.names:
                    imports[alias.asname or alias.name] = ast.unparse(ast.ImportFrom(node.module, [alias], node.level))
        for node in tree.body:
            names = frozenset(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                text = "\n".join(source.splitlines()[first - 1 : node.end_lineno])
                found[node.name] = Definition((file, node.lineno), text, names, imports)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                text = "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])
                found[node.targets[0].id] = Definition((file, node.lineno), text, names, imports)
    return found


def defined() -> frozenset[str]:
    """Return the names of all definitions that a file may contain."""
    return frozenset(_definitions())


def copied(names: Iterable[str]) -> tuple[list[str], list[str], set[str]]:
    """Return the constants, then the classes and functions, that some names need, and the imports of all. Raises KeyError."""
    known = _definitions()
    wanted = list(names)
    found: dict[str, Definition] = {}
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = known[name]
            wanted += [other for other in known[name].names if other in known and other not in known[name].imports]
    ordered: list[str] = []

    def place(name: str) -> None:
        """Put what a class inherits from before it."""
        if name in ordered:
            return
        bases = found[name].text.partition("\n")[0]
        for other in found:
            if (other != name and f"({other}" in bases) or f", {other})" in bases:
                place(other)
        ordered.append(name)

    for name in sorted(found, key=lambda name: found[name].place):
        place(name)
    imports = {found[name].imports[used] for name in found for used in found[name].names if used in found[name].imports}
    constants = [found[name].text for name in ordered if not found[name].text.startswith(("class", "def", "@"))]
    texts = [found[name].text for name in ordered if found[name].text.startswith(("class", "def", "@"))]
    return constants, texts, imports
