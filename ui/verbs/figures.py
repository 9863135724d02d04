"""Options of how a picture goes onto a page."""

from __future__ import annotations

from typing import Annotated

import typer

from archc.compiler.draw.figure import DIRECTIONS, NUMBERS
from archc.compiler.errors import alternatives
from archc.ui.verbs.completion import words

Direction = Annotated[
    str, typer.Option(help="TB (top to bottom) or LR (left to right), of the style graph", autocompletion=words(*DIRECTIONS))
]
Title = Annotated[str, typer.Option(metavar="TEXT", help="a title, with the parameters and MACs below it")]
Scale = Annotated[float, typer.Option(help="times the natural size, in svg, pdf and png")]
Dpi = Annotated[int, typer.Option(help="pixels per inch of a png; by default 192, or what fits", show_default=False)]
Width = Annotated[
    str, typer.Option(metavar="LENGTH", help="the width in svg, pdf and png, and in tex of style paper: 85mm, 17cm, 3.35in, 242pt")
]
Show = Annotated[
    list[str] | None,
    typer.Option(
        "--show",
        metavar="NUMBERS",
        help=f"write {alternatives(NUMBERS)} on the boxes, several with commas; memory is that of activations of one sample in float32",
        autocompletion=words(*NUMBERS),
    ),
]
Rename = Annotated[
    list[str] | None,
    typer.Option("--rename", metavar="OLD=NEW", help="another name for a box, or for the calls of a block; may be repeated"),
]
Steps = Annotated[
    bool, typer.Option("--steps", help="a picture for each box as the network grows: pages of a pdf, or FILE-1.svg and so on, or png")
]
Animate = Annotated[bool, typer.Option("--animate", help="an svg whose boxes appear one after the other")]
SideBySide = Annotated[
    bool, typer.Option("--side-by-side", help="with -o: both networks beside each other, in place of one over the other")
]
