"""What is read of torchvision's networks for other tasks than classification of images: a table, with the lines of our own files.

python bench/reading_dense.py [NAME...]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from archc.bench.reading_lengths import OURS
from archc.compiler.errors import UnreadableError
from archc.compiler.frontends import CannotRead
from archc.compiler.reading import read_text
from archc.tests.support import ROOT
from archc.tests.support.pytorch import torchvision_models
from archc.tests.support.reading import own_lines


def names() -> list[str]:
    """Return torchvision's networks for segmentation, detection, videos and optical flow."""
    models = torchvision_models()
    return [name for task in ("segmentation", "detection", "video", "optical_flow") for name in models.list_models(getattr(models, task))]


def rows(chosen: Sequence[str]) -> Iterator[tuple[str, int, int, int, str]]:
    """Yield for each network its name, the operators and lines that were read, our lines, 0 where we have none, and why it is refused."""
    for name in chosen:
        path = ROOT / "archs" / f"{OURS.get(name, name)}.arch"
        ours, operators, lines, reason = own_lines(path) if path.exists() else 0, 0, 0, ""
        try:
            made = read_text(f"torchvision:{name}")
            operators, lines = made.reading.nodes, made.reading.lines
        except (CannotRead, UnreadableError) as refusal:
            reason = str(refusal)
        yield name, operators, lines, ours, reason


def main() -> None:
    """Print the table."""
    print("| network | operators | lines | ours | why it is refused |\n|--|--|--|--|--|")
    for name, operators, lines, ours, reason in rows(sys.argv[1:] or names()):
        print(f"| {name} | {operators or ''} | {lines or 'refused'} | {ours or ''} | {reason} |", flush=True)


if __name__ == "__main__":
    main()
