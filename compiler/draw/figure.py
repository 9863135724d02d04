"""How a picture goes onto a page: its direction, title, size, and the numbers and names on its boxes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from archc.compiler.errors import UnknownName, UsageError, alternatives, at_least, one_of

if TYPE_CHECKING:
    from archc.compiler.draw.scene import Box, Scene
    from archc.compiler.draw.style import Scale

DIRECTIONS = ("TB", "LR")
NUMBERS = ("params", "macs", "memory", "field")
UNITS = {"mm": 1 / 25.4, "cm": 1 / 2.54, "in": 1.0, "pt": 1 / 72, "px": 1 / 96}  # inches
MOST_INCHES = 400.0  # the largest side of a page of a PDF is 14,400 points, which is 200 inches; an SVG has no limit
_LENGTH = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(mm|cm|in|pt|px)\s*")


@dataclass(frozen=True)
class Figure:
    """The page of a picture. `width` is in inches, 0 for the natural width; `dpi` is 0 for what fits; `show` are of `NUMBERS`."""

    direction: str = "TB"
    title: str = ""
    scale: float = 1.0
    dpi: int = 0
    width: float = 0.0
    show: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    animate: bool = False

    @property
    def sized(self) -> bool:
        """Whether the picture has another size than its natural one."""
        return self.scale != 1 or bool(self.width)


def figure(
    direction: str = "TB",
    title: str = "",
    scale: float = 1.0,
    dpi: int = 0,
    width: str = "",
    show: str | Iterable[str] = (),
    rename: Mapping[str, str] | Iterable[str] = (),
    animate: bool = False,
) -> Figure:
    """Check what is asked of a page. Raises UsageError for what does not exist, and what does not go together.

    `width` is a length, as `85mm`; `show` are words, or one text with commas between them; `rename` maps names of boxes, or is
    texts such as `layer1=stage 1`.
    """
    one_of("direction", direction, DIRECTIONS)
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not isfinite(scale) or not 0.01 <= scale <= 100:
        raise UsageError(f"is a number from 0.01 to 100, not {scale!r}", option="scale", given=scale)
    at_least("dpi", dpi, 0)
    if dpi > 2400:
        raise UsageError(f"is at most 2400, not {dpi}", option="dpi", given=dpi)
    words = [word for given in ((show,) if isinstance(show, str) else show) for word in re.split(r"[,\s]+", given) if word]
    for word in words:
        one_of("show", word, NUMBERS)
    if width and scale != 1:
        raise UsageError("the size of a picture is said by its width or by a scale, not by both", option="width", given=width)
    pairs = rename.items() if isinstance(rename, Mapping) else map(_pair, rename)
    return Figure(direction, str(title), float(scale), dpi, _inches(width), tuple(dict.fromkeys(words)), tuple(pairs), animate)


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old.strip() and equals and new.strip()):
        raise UsageError(f"is a name of the picture and a new one, as `layer1=stage 1`, not {text!r}", option="rename", given=text)
    return old.strip(), new.strip()


def _inches(width: str) -> float:
    if not width:
        return 0.0
    found = _LENGTH.fullmatch(width) if isinstance(width, str) else None
    inches = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not 0.1 <= inches <= MOST_INCHES:
        raise UsageError(f"is a length with its unit, as 85mm, 17cm, 3.35in or 242pt, not {width!r}", option="width", given=width)
    return inches


def fits(figure: Figure, form: str, style: str) -> None:
    """Raise UsageError where a format or style does not have what is asked for."""
    plain = Figure()
    if style != "graph":
        for option in ("direction", "show", "animate"):
            if getattr(figure, option) != getattr(plain, option):
                raise UsageError(f"is of the style graph, not of {style}", option=option)
    if figure.dpi and form != "png":
        raise UsageError(f"is of png, not of {form}, which has no pixels", option="dpi", given=figure.dpi)
    sized, directed = ("svg", "pdf", "png", *(["tex"] if style == "paper" else [])), ("svg", "pdf", "png", "dot", "mermaid", "tex")
    for option, forms in (
        ("scale", sized),
        ("width", sized),
        ("direction", directed),
        ("title", directed),
        ("show", directed),
        ("animate", ("svg",)),
    ):
        if getattr(figure, option) != getattr(plain, option) and form not in forms:
            raise UsageError(f"is of {alternatives(forms)}, not of {form}", option=option)


# ---- names and numbers


def furnished(scene: Scene, style: str, figure: Figure) -> None:
    """Write the title and other names into a scene. Raises UnknownName for a box that is not in it."""
    renamed(scene, figure.rename)
    if not figure.title:
        return
    lines = [figure.title, *filter(None, [counts(scene)])]
    if style == "graph":
        scene.heading = lines
    else:
        scene.caption = [*lines, *scene.caption]


def renamed(scene: Scene, pairs: Iterable[tuple[str, str]]) -> None:
    """Give boxes other names: those of a full name or of its last step, or the word that their calls begin with.

    Raises UnknownName where there is nothing of that name in the picture.
    """
    boxes = list(scene.every())
    heads = {box.id: _HEAD.match(box.title) for box in boxes if box.family == "block"}
    for old, new in pairs:
        named = [box for box in boxes if box.id.partition("/")[2] == old or box.id == old] or [
            box for box in boxes if box.id.rpartition(".")[2] == old and box.family != "merge"
        ]
        called = [box for box in boxes if (head := heads.get(box.id)) is not None and head[0] == old] if not named else []
        for box in named:
            box.name = new
        for box in called:
            box.title = new + box.title[len(old) :]
        if not named and not called:
            known = [*dict.fromkeys([*(box.id for box in boxes), *(head[0] for head in heads.values() if head)])]
            raise UnknownName(f"there is no box {old} in this picture", given=old, known=known, hint="--depth shows more of it")


_HEAD = re.compile(r"\w+")


def short(count: float) -> str:
    """Write a count with three digits: `11.7 M`, `1.81 G`, `512`."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= 0.9995 * size:
            value = count / size
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"
    return f"{count:.0f}"


def percent(share: float) -> str:
    """Write a share of 1 with two digits: `26 %`, `2.9 %`."""
    value = 100 * share
    if 0 < value < 0.05:
        return "< 0.1 %"
    return f"{value:.0f} %" if value >= 9.95 or value == 0 else f"{value:.1f} %"


def counts(scene: Scene) -> str:
    """Return what a network costs, in a line: `11.7 M parameters, 1.81 G MACs`; empty where the scene is not of a whole network."""
    if scene.graph is None:
        return ""
    from archc.compiler.analysis.cost import macs_of, params_of

    nodes = [node for node in scene.graph if not node.training_only]
    macs = macs_of(scene.graph, nodes)
    return f"{short(params_of(scene.graph, nodes))} parameters, {short(macs) if isinstance(macs, int) else macs} MACs"


def number(scene: Scene, show: Iterable[str], heat: str, scale: Scale) -> None:
    """Write numbers on the boxes of a scene: those asked for, and the share of the cost that colours them."""
    fields = {}
    if "field" in show and scene.graph is not None:
        from archc.compiler.analysis.receptive import receptive_fields

        fields = receptive_fields(scene.graph)
    for box in scene.shown():
        if box.family in ("input", "output") or not box.nodes:
            continue
        said = [text for word in show if (text := _number(box, word, str(fields.get(box.nodes[-1].name, ""))))]
        box.numbers = [" · ".join(said) + (" each" if box.copies > 1 else "")] if said else []
        if heat and not box.status and (share := scale.share(box)):
            box.numbers.append(percent(share))


def _number(box: Box, word: str, field: str) -> str:
    if word == "field":
        return f"field {field}" if field else ""
    if word == "params":
        return f"{short(box.params)} params" if box.params else ""
    if word == "macs":
        return "" if box.macs == 0 else f"{short(box.macs) if isinstance(box.macs, int) else box.macs} MACs"
    return f"{short_bytes(4 * box.values)}" if box.values else ""


def short_bytes(size: float) -> str:
    """Write a size: `3.06 MiB`, `12.5 KiB`."""
    return f"{size / 2**20:,.2f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"
