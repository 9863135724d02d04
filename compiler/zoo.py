"""The networks in archs/, and new files that start from one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from archc.compiler.analysis.family import family_of
from archc.compiler.driver import check
from archc.compiler.elaborate.loader import ARCHS, Loader
from archc.compiler.shapes.dim import Dim


@dataclass(frozen=True)
class Listed:
    """A network in archs/. `family` is the shared file that it instantiates, or its own name."""

    name: str
    family: str
    params: int
    macs: Dim
    source: str


def networks() -> list[Path]:
    """Return the files of all networks."""
    return sorted(ARCHS.glob("*.arch"))


def listed(path: Path, loader: Loader | None = None) -> Listed:
    """Return the facts about one network file. Its claims are checked."""
    loader = loader or Loader()
    report = check(path, mend=False, loader=loader)
    counts = report.cost()
    tree = loader.open(path).tree
    return Listed(path.stem, family_of(path.stem, tree), counts.params, counts.macs, report.graph.title)


def started(name: str, base: Path) -> str:
    """Return the text of a new file: a network under another name, with its claims, which would soon be wrong, as comments."""
    lines = []
    for line in base.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"arch\s+\w+(.*)$", line):
            rest = re.sub(r'"(.*)"', lambda title: f'"after {base.stem}: {title[1]}"', match[1])
            line = f"arch {name}{rest}"
        elif line.startswith("expect "):
            line = f"# of {base.stem}: {line}"
        lines.append(line)
    return "\n".join(lines) + "\n"
