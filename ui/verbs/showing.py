"""The verb `show`: what a network computes of an image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archc.compiler.errors import one_of
from archc.compiler.plots.map_pages import WIDTHS, can_show
from archc.compiler.results.maps import Asked, Shown, Taken
from archc.ui.verbs.completion import any_files, words
from archc.ui.verbs.options import Device, File, Json, Set
from archc.ui.verbs.terminal import must_be_writable, overrides, print_json, talk, usage
from archc.ui.verbs.training import Weights, data_errors, loaded


def show(
    file: File,
    image: Annotated[Path, typer.Option("--image", metavar="FILE", help="a photo or a drawing: png, jpg, ...", autocompletion=any_files)],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="write a page: .svg, .png or .pdf, which needs matplotlib")
    ] = None,
    weights: Weights = "",
    layer: Annotated[
        list[str] | None, typer.Option("--layer", metavar="LABEL", help="the maps of a layer or block; may be repeated")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(min=1, help="the most maps of a layer, and the most filters; by default those that suit the page")
    ] = None,
    filters: Annotated[bool, typer.Option("--filters", help="the filters of the first convolution")] = False,
    unit: Annotated[
        list[str] | None, typer.Option("--unit", metavar="LABEL:ROW,COL", help="the pixels that a unit depends on; may be repeated")
    ] = None,
    cam: Annotated[
        list[str] | None, typer.Option("--cam", metavar="CLASS", help="Grad-CAM for a class, by name or number; may be repeated")
    ] = None,
    cam_layer: Annotated[str, typer.Option("--cam-layer", metavar="LABEL", help="the layer of Grad-CAM, instead of the last maps")] = "",
    top: Annotated[int, typer.Option(min=1, help="classes that are named with their probabilities")] = 3,
    width: Annotated[
        str,
        typer.Option("--width", help="slide (1920x1080 pixels), page (175 mm) or column (85 mm)", autocompletion=words(*WIDTHS)),
    ] = "slide",
    device: Device = "auto",
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Show what a network computes of an image: feature maps, filters, the field of a unit, Grad-CAM for a class."""
    if output is None and not json_:
        usage("give the page that is to be written, -o maps.svg, or --json")
    if output is not None:
        must_be_writable(output)
        can_show(output)
        one_of("width", width, WIDTHS)
    asked = Asked(tuple(layer or ()), filters, tuple(unit or ()), tuple(cam or ()), cam_layer, channels, top)
    with data_errors():
        from archc.training.prepare import Preparation, as_taken

        module, stored = loaded(file, weights, device, overrides(set_, None), json_)
        taken = Taken(image.name, *as_taken(Preparation.of_facts(stored.preparation), image))
        found = Shown(module, taken, asked, stored.classes, stored.scores)
        if output is not None:
            found.write(output, width)
    if json_:
        print_json(found.facts())
    if output is not None:
        talk(f"wrote {output}")
