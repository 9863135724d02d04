"""What is asked of a picture, checked; and the three kinds of pictures: of a network, of a difference, of a wrong file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archc.compiler.draw import difference, partial
from archc.compiler.draw.beside import side_by_side
from archc.compiler.draw.condense import paper_scene
from archc.compiler.draw.figure import Figure, figure, fits, furnished
from archc.compiler.draw.fold import Folding, scene
from archc.compiler.draw.labels import LABELS
from archc.compiler.draw.picture import FORMATS, Format, by_name, listed, picture, prepare
from archc.compiler.draw.scene import Scene
from archc.compiler.draw.steps import steps
from archc.compiler.draw.style import HEATS, STYLES, THEMES, Look
from archc.compiler.errors import UsageError, alternatives, at_least, one_of, one_type
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


def request(
    form: str,
    style: str = "graph",
    theme: str = "auto",
    heat: str = "",
    legend: bool = True,
    part: str = "",
    labels: str = "",
    hide: str | Iterable[str] = (),
    page: Figure = Figure(),  # noqa: B008 (it is frozen)
) -> Request:
    """Check what is asked of a picture. Raises UsageError for a format, style, theme or heat that is not known or does not go together.

    `part` is what is drawn, where that is not a whole network: `a difference`, which some formats do not show. `page` is how it goes
    onto one.
    """
    chosen = by_name(form)
    one_of("style", style, STYLES)
    one_of("theme", theme, tuple(THEMES))
    one_of("heat", heat, ("", *HEATS))
    one_of("labels", labels, ("", *LABELS))
    if style not in chosen.styles:
        formats = listed(found for found in FORMATS if style in found.styles)
        raise UsageError(f"{style} is drawn as {formats}, not as {form}", option="style")
    if part and chosen.whole:
        raise UsageError(f"{part} is drawn as {listed(found for found in FORMATS if not found.whole)}, not as {form}")
    fits(page, form, style)
    hidden = tuple(name.strip() for part in patterns(hide) for name in part.split(",") if name.strip())
    return Request(chosen, style, Look(theme, heat, legend, labels=labels, hide=hidden, figure=page))


def folding(depth: int | None = None, expand: str | Iterable[str] = (), collapse: str | Iterable[str] = (), flat: bool = False) -> Folding:
    """Say how much is shown. Raises UsageError for a depth below 0."""
    if depth is not None:
        at_least("depth", depth, 0)
    return Folding(depth, patterns(expand), patterns(collapse), flat)


_PAGE = ("direction", "title", "scale", "dpi", "width", "show", "rename", "animate")
_SHOWN = ("depth", "expand", "collapse", "flat")


def asked_of(form: str, **options: Any) -> tuple[Folding, Request]:
    """Check all options of a picture of a network. Raises UsageError, TypeError for a name that is none."""
    page = figure(**{name: options.pop(name) for name in _PAGE if name in options})
    shown = folding(**{name: options.pop(name) for name in _SHOWN if name in options})
    return shown, request(form, **options, page=page)


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
    _must_have_times(asked, seconds)
    return _drawn(lambda: _timed((paper_scene if asked.style == "paper" else scene)(graph, folding), seconds or {}), asked)


def _must_have_times(asked: Request, seconds: Mapping[str, float] | None) -> None:
    if asked.look.heat == "time" and seconds is None:
        raise UsageError("time is measured: give --profile FILE.json, which `archc profile FILE -o FILE.json` writes", option="heat")


def _timed(made: Scene, seconds: Mapping[str, float]) -> Scene:
    for name, value in seconds.items():
        made.shown_as[name].nanoseconds += round(1e9 * value)
    return made


def difference_picture(
    a: ArchGraph, b: ArchGraph, found: Difference, folding: Folding, names: tuple[str, str], asked: Request, apart: bool = False
) -> bytes:
    """Draw what differs between two networks, in one picture or `apart`, side by side; `names` are what they are called.

    Raises as `network_picture`.
    """
    draw = side_by_side if apart else difference.difference
    return _drawn(lambda: draw(a, b, found, folding, names), asked)


def network_steps(graph: ArchGraph, folding: Folding, asked: Request, seconds: Mapping[str, float] | None = None) -> list[bytes]:
    """Draw a network as it grows, a picture for each box. Raises UsageError for another form than svg, pdf and png."""
    if asked.style != "graph":
        raise UsageError(f"are of the style graph, not of {asked.style}", option="steps")
    if asked.form.name not in STEPPED:
        raise UsageError(f"are drawn as {alternatives(STEPPED)}, not as {asked.form.name}", option="steps")
    _must_have_times(asked, seconds)
    made = _timed(scene(graph, folding), seconds or {})
    furnished(made, asked.style, asked.look.figure)
    prepare(made, asked.style, asked.look)
    return list(steps(made, asked.look, asked.form.name))


STEPPED = ("svg", "pdf", "png")


def partial_picture(
    graph: ArchGraph, failures: Sequence[Failure], diagnostics: Sequence[Diagnostic], folding: Folding, asked: Request
) -> bytes:
    """Draw a wrong file as far as its shapes are known. Raises as `network_picture`."""
    if asked.style != "graph":
        raise UsageError(f"of a wrong file is graph, not {asked.style}", option="style", given=asked.style)
    return _drawn(lambda: partial.partial(graph, failures, diagnostics, folding), asked)


def _drawn(make: Callable[[], Scene], asked: Request) -> bytes:
    made = make()
    furnished(made, asked.style, asked.look.figure)
    return picture(made, asked.form.name, asked.style, asked.look)
