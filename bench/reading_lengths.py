"""How long the texts are that `archc read` makes of torchvision's networks, in lines of our own files: a table, and the median.

python bench/reading_lengths.py [NAME...]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator, Sequence

from archc.compiler.errors import UnreadableError
from archc.compiler.frontends import CannotRead
from archc.compiler.reading import read_text
from archc.tests.support import ROOT
from archc.tests.support.pytorch import torchvision_models
from archc.tests.support.reading import own_lines

DENSE = ("fcn_resnet50", "deeplabv3_resnet50", "lraspp_mobilenet_v3_large")
OURS = {"alexnet": "alexnet_torchvision", "googlenet": "googlenet_torchvision"}  # other files of ours than that of the name


def names() -> list[str]:
    """Return torchvision's classifiers and dense predictors of which we have a file."""
    models = torchvision_models()
    known = [*models.list_models(module=models), *DENSE]
    return [name for name in known if (ROOT / "archs" / f"{OURS.get(name, name)}.arch").exists()]


def rows(chosen: Sequence[str]) -> Iterator[tuple[str, int, int, float]]:
    """Yield for each network its name, the lines that were read, 0 where it is refused, ours, and the seconds that it took."""
    for name in chosen:
        ours, start = own_lines(ROOT / "archs" / f"{OURS.get(name, name)}.arch"), time.process_time()
        try:
            lines = read_text(f"torchvision:{name}").reading.lines
        except (CannotRead, UnreadableError):
            lines = 0
        yield name, lines, ours, time.process_time() - start


def main() -> None:
    """Print the table."""
    ratios = []
    print("| network | lines | ours | ratio | seconds |\n|--|--|--|--|--|")
    for name, lines, ours, seconds in rows(sys.argv[1:] or names()):
        ratios += [lines / ours] if lines else []
        print(f"| {name} | {lines or 'refused'} | {ours} | {f'{lines / ours:.2f}' if lines else ''} | {seconds:.1f} |", flush=True)
    print(f"\n{len(ratios)} networks: median {statistics.median(ratios):.2f}, worst {max(ratios):.2f}")


if __name__ == "__main__":
    main()
