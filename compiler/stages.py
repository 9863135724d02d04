"""Every stage of the compiler as text: what `archc compile --print-after` prints, and docs/compiler.md shows.

text -> parse -> elaborate -> drop_training -> ... -> lower -> torch
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from archc.compiler.analysis.printing import listing, node_table
from archc.compiler.errors import one_of
from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import lowered
from archc.compiler.lowering.text import program_text
from archc.compiler.passes import INFERENCE, Pass, run
from archc.compiler.report import Report
from archc.dsl.dump import dump

ALL = "all"


def stage_names(level: int = 0) -> tuple[str, ...]:
    """Return the stages of a level of optimization in order: `parse`, `elaborate`, its passes for inference, `lower`, `torch`."""
    return ("parse", "elaborate", *(rewrite.__name__ for rewrite in _pipeline(level)), "lower", "torch")


def stages(report: Report, level: int = 0, print_after: str = ALL) -> Iterator[tuple[str, str]]:
    """Yield the name of a stage and what the compiler has after it, as text; of all stages if `print_after` is `all`.

    After `parse` that is the tree, after `elaborate` the graph, after a pass the program that it returns, as a flat
    `.arch` file, after `lower` the steps for a backend, after `torch` the code of the GraphModule, which is the only one to import torch.
    `report` is of a sound network. Raises UsageError for a stage that the level does not have, and ArchError from `lower` on where sizes
    are open.
    """
    names = stage_names(level)
    one_of("print_after", print_after, (*names, ALL))
    wanted = names if print_after == ALL else (print_after,)
    passes: dict[str, str] = {}
    if any(rewrite.__name__ in wanted for rewrite in _pipeline(level)):
        run(report.graph, _pipeline(level), lambda name, program: passes.update({name: listing(program.graph)} if name in wanted else {}))
    printers: dict[str, Callable[[], str]] = {
        "parse": lambda: dump(report.tree) if report.tree is not None else "",
        "elaborate": lambda: node_table(report.graph),
        "lower": lambda: program_text(lowered(report.graph, "inference", min(level, len(INFERENCE) - 1))),
        "torch": lambda: _torch_text(report.graph, level),
    }
    for name in wanted:
        yield name, passes[name] if name in passes else printers[name]()


def _pipeline(level: int) -> tuple[Pass, ...]:
    """The passes for inference at a level; those of level 3 are those of 2."""
    return INFERENCE[min(level, len(INFERENCE) - 1)]


def _torch_text(graph: ArchGraph, level: int) -> str:
    from archc.compiler.backends.torch.text import module_text

    return module_text(graph, level)
