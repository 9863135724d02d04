"""What is written on boxes and volumes: names, arguments, shapes; and which options are left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from archc.compiler.analysis.notation import notation
from archc.compiler.draw.condense import Run, arguments, call_text
from archc.compiler.draw.scene import Box, Scene
from archc.compiler.errors import UsageError
from archc.compiler.ops import OPERATORS
from archc.compiler.shapes.dim import show_shape

LABELS = ("names", "args", "shapes", "all", "none")
QUIET = ("pad", "pad_mode", "bias", "ceil", "count_pad", "eps", "p", "sizes", "channels")  # what figures in papers do not show
WIDTH = 22  # characters of a line under a volume


def hide(made: Scene, options: Collection[str]) -> None:
    """Leave options of operators and arguments of calls out of all titles.

    Raises UsageError for a name that is neither an option of an operator nor an argument of a call in the picture.
    """
    if not options:
        return
    calls = {name for box in made.every() for name in arguments(box.call or box.title) if box.family == "block"}
    known = sorted(
        {attr.name for operator in OPERATORS.values() for attr in operator.attrs} | {name for name in calls if not name.isdigit()}
    )
    for name in options:
        if name not in known:
            raise UsageError(f"names options of operators and arguments of blocks; {name} is none", option="hide", given=name, known=known)
    drop(made, options)


def drop(made: Scene, options: Collection[str]) -> None:
    """Leave options and arguments out of all titles, whatever they are called."""
    for box in made.every():
        if box.family == "block":
            box.title = without(box.title, options)
        elif box.nodes and box.title == notation(box.nodes[0]):
            attached = [" · ".join(notation(node) for node in box.nodes[1:])]
            box.title = notation(box.nodes[0], options)
            if box.details == attached:
                box.details = [" · ".join(notation(node, options) for node in box.nodes[1:])]


def without(call: str, options: Collection[str]) -> str:
    """Return a call without some of its arguments."""
    given = arguments(call)
    kept = {name: value for name, value in given.items() if name not in options}
    return call_text(call.partition("(")[0], kept) if len(kept) < len(given) else call


def on_boxes(made: Scene, labels: str) -> None:
    """Write on boxes, and beside edges, what `labels` says; signs of merges, repeats and what differs stay."""
    if labels in ("", "all"):
        return
    for box in made.every():
        if box.family in ("merge", "failed"):
            continue
        if labels == "none":
            box.name, box.title, box.details = "", "", []
        elif labels in ("names", "shapes"):
            box.title = "" if box.name else box.title.partition("(")[0]
            box.details = []
    if labels in ("names", "args", "none"):
        for edge in made.edges:
            edge.shape = ""


def on_volumes(made: Scene, labels: str, names: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the lines under every volume, or of every frame, by the ids of their boxes: a name, or what stands for it, is the first.

    By default these are its name, its operator or block with the arguments that differ, and its shape.
    """
    differing = _differing(made)
    found: dict[str, tuple[str, ...]] = {}
    for box in made.every():
        if labels == "none":
            found[box.id] = (box.times,) if box.times else ()
            continue
        name = names.get(box.id, box.name)
        if box.opened:
            title = "" if labels in ("names", "shapes") else _title(box, labels, differing)
            found[box.id] = tuple(line for line in (f"{name} {box.times}".strip(), title) if line)
            continue
        title = _title(box, labels, differing)
        options = ""
        if not labels and len(title) > WIDTH and box.family != "block" and title.endswith(")"):
            title, _, options = title.removesuffix(")").partition("(")
            options = options if len(options) <= WIDTH else ""
        title = f"{title} {box.times}".strip() if box.family not in ("input", "output") else ""
        shape = show_shape(box.shape) if labels in ("", "shapes", "all") else ""
        if labels in ("names", "shapes") and name:
            title = box.times
        found[box.id] = tuple(line for line in (name, title, options, shape) if line)
    return found


def _title(box: Box, labels: str, differing: dict[str, set[str]]) -> str:
    if labels in ("args", "all"):
        return box.title
    callee = box.title.partition("(")[0]
    if labels in ("names", "shapes"):
        return callee
    if box.family != "block":
        return notation(box.nodes[0], QUIET) if box.nodes and box.title == notation(box.nodes[0]) else box.title
    given = {name: value for name, value in arguments(box.title).items() if name in differing[callee]}
    seen = {name: value for name, value in given.items() if value != str(box.shape[:1] and box.shape[0])}
    return _fitting(call_text(callee, seen), box)


def _fitting(title: str, box: Box) -> str:
    """Return a title if it fits a line, and otherwise what stands before its arguments."""
    wide = WIDTH - (len(box.times) + 1 if box.times else 0)
    return title if len(title) <= wide else title.partition("(")[0]


def _differing(made: Scene) -> dict[str, set[str]]:
    """Return, for every block, the arguments that differ among its calls in the picture, without fractions, which say little."""
    calls: dict[str, list[dict[str, str]]] = defaultdict(list)
    runs: dict[str, list[dict[str, str]]] = defaultdict(list)
    for box in made.every():
        if box.family == "block":
            callee = box.title.partition("(")[0]
            calls[callee].append(arguments(box.title))
            if isinstance(box, Run):
                runs[callee].append(calls[callee][-1])
    found: dict[str, set[str]] = {}
    for callee, several in calls.items():
        names = {name for call in several for name in call if all(name in run for run in runs[callee])}  # neighbours differ in the others
        found[callee] = {
            name
            for name in names
            if len({call.get(name) for call in several}) > 1
            and not any("." in call.get(name, "") or "@" in call.get(name, "") for call in several)
        }
    return found
