"""What is asked of a picture, checked; and the three kinds of pictures: of a network, of a difference, of a wrong file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archc.compiler.draw import difference, partial
from archc.compiler.draw.fold import Folding, scene
from archc.compiler.draw.picture import FORMATS, Format, by_name, listed, picture
from archc.compiler.draw.scene import Scene
from archc.compiler.draw.style import HEATS, STYLES, THEMES, Look
from archc.compiler.errors import UsageError, at_least, one_of, one_type
from archc.compiler.graph import ArchGraph

if TYPE_CHECKING:
    from archc.compiler.analysis.diff import Difference
    from archc.compiler.elaborate.elaboration import Failure
    from archc.dsl.diagnostics import Diagnostic


@dataclass(frozen=True)
class Request:
    """A format of pictures, and how the picture is to look; all of it exists."""

    form: Format
    style: str
    look: Look


def request(form: str, style: str = "graph", theme: str = "auto", heat: str = "", legend: bool = True, part: str = "") -> Request:
    """Check what is asked of a picture. Raises UsageError for a format, style, theme or heat that is not known or does not go together.

    `part` is what is drawn, where that is not a whole network: `a difference`, which some formats do not show.
    """
    chosen = by_name(form)
    one_of("style", style, STYLES)
    one_of("theme", theme, tuple(THEMES))
    one_of("heat", heat, ("", *HEATS))
    if style not in chosen.styles:
        formats = listed(found for found in FORMATS if style in found.styles)
        raise UsageError(f"{style} is drawn as {formats}, not as {form}", option="style")
    if part and chosen.whole:
        raise UsageError(f"{part} is drawn as {listed(found for found in FORMATS if not found.whole)}, not as {form}")
    return Request(chosen, style, Look(theme, heat, legend))


def folding(depth: int | None = None, expand: str | Iterable[str] = (), collapse: str | Iterable[str] = (), flat: bool = False) -> Folding:
    """Say how much is shown. Raises UsageError for a depth below 0."""
    if depth is not None:
        at_least("depth", depth, 0)
    return Folding(depth, patterns(expand), patterns(collapse), flat)


def patterns(given: str | Iterable[str]) -> tuple[str, ...]:
    """Take one name, or several."""
    several = (given,) if isinstance(given, str) else given
    one_type("blocks", several, (Iterable,))
    for name in several:
        one_type("blocks", name, (str,))
    return tuple(several)


def network_picture(graph: ArchGraph, folding: Folding, asked: Request, seconds: Mapping[str, float] | None = None) -> bytes:
    """Draw a network, with the measured seconds of its nodes, by name, where it is colored by time.

    Raises UnknownName for a pattern that fits no block, UsageError for a color by time without times, NoGraphviz, and TooLarge for a PNG.
    """
    if asked.look.heat == "time" and seconds is None:
        raise UsageError("time is measured: give --profile FILE.json, which `archc profile FILE -o FILE.json` writes", option="heat")
    return _drawn(lambda: _timed(scene(graph, folding), seconds or {}), asked)


def _timed(made: Scene, seconds: Mapping[str, float]) -> Scene:
    for name, value in seconds.items():
        made.shown_as[name].nanoseconds += round(1e9 * value)
    return made


def difference_picture(a: ArchGraph, b: ArchGraph, found: Difference, folding: Folding, names: tuple[str, str], asked: Request) -> bytes:
    """Draw what differs between two networks; `names` are what they are called. Raises as `network_picture`."""
    return _drawn(lambda: difference.difference(a, b, found, folding, names), asked)


def partial_picture(
    graph: ArchGraph, failures: Sequence[Failure], diagnostics: Sequence[Diagnostic], folding: Folding, asked: Request
) -> bytes:
    """Draw a wrong file as far as its shapes are known. Raises as `network_picture`."""
    if asked.style != "graph":
        raise UsageError(f"of a wrong file is graph, not {asked.style}", option="style", given=asked.style)
    return _drawn(lambda: partial.partial(graph, failures, diagnostics, folding), asked)


def _drawn(make: Callable[[], Scene], asked: Request) -> bytes:
    return picture(make(), asked.form.name, asked.style, asked.look)
