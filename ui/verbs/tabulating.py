"""The verb `table`: networks in rows, their layers in columns, and a plot of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from archc.compiler.analysis.printed import NOTATIONS
from archc.compiler.elaborate.elaboration import MAX_NODES, Limits
from archc.compiler.errors import UsageError, alternatives
from archc.compiler.network import Network
from archc.compiler.plots.request import LABELS, PAGES, SUFFIXES, Axes, can_plot, ready
from archc.compiler.results.columns import COLUMNS, COUNTS, FLOATS, FONTS, SIZES
from archc.dsl.parser import MAX_NESTING
from archc.ui.verbs.completion import words
from archc.ui.verbs.options import Csv, Files, Form, Input, Json, Latex, MaxNesting, MaxNodes, Md, MemoryBatch, MemoryDtype, Set
from archc.ui.verbs.terminal import (
    arch_files,
    chosen_format,
    fail,
    must_be_writable,
    overrides,
    print_json,
    print_table,
    sound,
    sweeps,
    talk,
    usage,
)

Columns = Annotated[
    str,
    typer.Option("--columns", metavar="NAMES", help=f"those shown, in order, with commas: {', '.join(COLUMNS)}, those of --data; or none"),
]
Units = Annotated[
    list[str] | None,
    typer.Option("--units", metavar="NAME=UNIT", help=f"params=M,macs=G: {', '.join(COUNTS)}; for memory {', '.join(SIZES)}"),
]
Digits = Annotated[
    list[str] | None, typer.Option("--digits", metavar="N or NAME=N", help="digits behind the point, of all columns or of one")
]
SortBy = Annotated[str, typer.Option("--sort", metavar="NAME", help="by a column, from small to large; -NAME from large to small")]
GroupBy = Annotated[str, typer.Option("--group-by", metavar="NAME", help="equal values of a column together: family")]
Bold = Annotated[bool, typer.Option("--bold", help="the best of each column in bold; with --layers, what a network adds")]
Lower = Annotated[list[str] | None, typer.Option("--lower", metavar="NAMES", help="columns of --data in which less is better")]
Rename = Annotated[
    list[str] | None,
    typer.Option("--rename", metavar="NAME=TITLE", help="another name of a network, a column, a stage or a layer; may be repeated"),
]
Data = Annotated[Path | None, typer.Option("--data", metavar="CSV", help="columns of your own, in rows by `network`")]
Caption = Annotated[str, typer.Option("--caption", metavar="LATEX", help="with --latex: a float with this caption")]
Label = Annotated[str, typer.Option("--label", metavar="NAME", help="with --latex: a float with this label")]
Layers = Annotated[bool, typer.Option("--layers", help="the layers: rows of stages, columns of networks, as papers print them")]
Notation = Annotated[
    str,
    typer.Option(
        "--notation", help="with --layers: kernels (3×3, 64, blocks in brackets) or layers (conv3-64)", autocompletion=words(*NOTATIONS)
    ),
]
Hide = Annotated[
    list[str] | None, typer.Option("--hide", metavar="NAMES", help="with --layers: without the columns stage or output, or the notes")
]
Float = Annotated[str, typer.Option("--float", help=f"with --latex: {alternatives(FLOATS[1:])}", autocompletion=words(*FLOATS[1:]))]
Font = Annotated[str, typer.Option("--font", help=f"with --latex: {alternatives(FONTS[1:])}", autocompletion=words(*FONTS[1:]))]


USUAL = {each.name: each.default for each in fields(Axes)}  # of the options of a plot
Plot = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help=f"also draw a plot: {', '.join(SUFFIXES[:3])}, or .tex for LaTeX's pgf"),
]
X = Annotated[str, typer.Option("--x", metavar="NAME", help="of a plot: the column of the horizontal axis")]
Y = Annotated[str, typer.Option("--y", metavar="NAME", help="of a plot: that of the vertical axis; the first of --data, or params")]
Size = Annotated[str, typer.Option("--size", metavar="NAME", help="of a plot: the column that the areas of its points show")]
Color = Annotated[str, typer.Option("--color", metavar="NAME", help="of a plot: the column of its colors, of words or numbers, or none")]
Join = Annotated[
    str, typer.Option("--join", metavar="NAME", help="of a plot: whose equal values a line joins; by default --color; or none")
]
Log = Annotated[str, typer.Option("--log", help="of a plot: logarithmic axes: x, y, xy or none; by default the wide ones")]
Pareto = Annotated[bool, typer.Option("--pareto", help="of a plot: the front of the networks that no other one excels in both axes")]
Labels = Annotated[
    str,
    typer.Option("--labels", help="of a plot: full names, short ones without that of the family, or none", autocompletion=words(*LABELS)),
]
Width = Annotated[
    str, typer.Option("--width", help=f"of a plot: {', '.join(PAGES)} (85 mm, 175 mm, 1920x1080 pixels) or a length in mm, cm, in or pt")
]
Height = Annotated[str, typer.Option("--height", metavar="LENGTH", help="of a plot; by default it suits the width")]
Dpi = Annotated[int | None, typer.Option("--dpi", min=1, help="of a plot as .png: dots per inch; by default 300, and 144 for a slide")]
Styles = Annotated[list[str] | None, typer.Option("--style", metavar="FILE", help="of a plot: a file or a name of a style of matplotlib")]


def table_(
    files: Files,
    output: Plot = None,
    layers: Layers = False,
    columns: Columns = "",
    units: Units = None,
    digits: Digits = None,
    sort: SortBy = "",
    group_by: GroupBy = "",
    bold: Bold = False,
    lower: Lower = None,
    rename: Rename = None,
    data: Data = None,
    caption: Caption = "",
    label: Label = "",
    float_: Float = "",
    font: Font = "",
    notation: Notation = "kernels",
    hide: Hide = None,
    x: X = "macs",
    y: Y = "",
    size: Size = "",
    color: Color = "family",
    join: Join = "",
    log: Log = "",
    pareto: Pareto = False,
    labels: Labels = "full",
    width: Width = "page",
    height: Height = "",
    dpi: Dpi = None,
    style: Styles = None,
    dtype: MemoryDtype = "float32",
    batch: MemoryBatch = 1,
    format_: Form = "text",
    csv: Csv = False,
    md: Md = False,
    latex: Latex = False,
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Compare networks: parameters, MACs, layers, receptive fields, memory. Several values of one `--set` add a row each.

    With `--layers`, print the layers side by side. With `-o`, draw the networks in a plot.
    """
    from archc.compiler.library import layer_table, table
    from archc.compiler.results.summaries import Units as Sizes

    form = chosen_format(format_, json_, csv, md, latex)
    look = {
        "columns": None if not columns else () if columns == "none" else tuple(_names([columns])),
        "units": _pairs("units", units),
        "digits": _digits(digits),
        "sort": sort,
        "group_by": group_by,
        "bold": bold,
        "lower": tuple(_names(lower)),
        "rename": dict(_pair("rename", each) for each in rename or ()),
        "caption": caption,
        "label": label,
        "floats": float_,
        "font": font,
    }
    _check(
        form, layers, look, {"-o": output, "--data": data, "--lower": lower}, {"--hide": hide, "--notation layers": notation != "kernels"}
    )
    sizes = Sizes(dtype=dtype, batch=batch)
    axes: dict[str, Any] = {
        **{"x": x, "y": y, "size": size, "color": color, "join": join, "log": log, "pareto": pareto, "labels": labels},
        **{"width": width, "height": height, "dpi": dpi, "styles": tuple(style or ())},
    }
    if output is not None:
        must_be_writable(output)
        can_plot(output)
        Axes(**axes)
        ready()
    elif given := [name for name, usual in USUAL.items() if axes[name] != usual]:
        usage(f"--{given[0].replace('styles', 'style')} is for a plot: give -o FILE")
    networks = []
    for settings in sweeps(set_ or []):
        for path in arch_files(files):
            report = sound(path, overrides(settings, input_), Limits(max_nodes, max_nesting), form == "json", blocks=True)
            if report.has_network:
                networks.append((" ".join([report.name, *settings]), Network(report)))
    if not networks:
        fail(f"there is no network in {files[0]}")
    if layers:
        laid_out = layer_table(networks, notation=notation).shown(hide=_names(hide), **look)
        if form == "json":
            print_json(laid_out.facts())
        else:
            print_table(laid_out, form)
        return
    compared = table(networks, dtype=sizes.dtype, batch=sizes.batch)
    if data is not None:
        compared = compared.with_data(data)
    compared = compared.shown(**look)
    drawn = compared.plot(output, **axes) if output is not None else None  # before anything is printed: it may be refused
    if form == "json":
        print_json(compared.facts())
    else:
        print_table(compared, form)
    if drawn is not None:
        for names, why in ((drawn.missing, "not in the plot, without a value on its axes"), (drawn.unlabelled, "without room for a label")):
            if names:
                talk(f"{why}: {', '.join(names)}")
        talk(f"wrote {output}")


def _check(form: str, layers: bool, look: dict[str, Any], rows: dict[str, object], stages: dict[str, object]) -> None:
    """End with exit code 2 where an option is given that a table of this kind, or in this format, does not have."""
    for option, name in (("caption", "caption"), ("label", "label"), ("float", "floats"), ("font", "font")):
        if look[name] and form != "latex":
            usage(f"--{option} is for --latex")
    wrong = [name for name, given in (rows if layers else stages).items() if given]
    if wrong:
        usage(f"{wrong[0]} is for tables with a row for each network, not for --layers" if layers else f"{wrong[0]} is for --layers")


def _names(given: Sequence[str] | None) -> list[str]:
    """Return the names in options with commas."""
    return [name.strip() for text in given or () for name in text.split(",") if name.strip()]


def _pair(option: str, text: str) -> tuple[str, str]:
    """Return the name and the value of `NAME=VALUE`; a title may be empty. Raises UsageError."""
    name, equals, value = text.partition("=")
    if not equals or not name or not (value or option == "rename"):
        raise UsageError(f"takes NAME=VALUE, not {text}", option=option, given=text)
    return name, value


def _pairs(option: str, given: Sequence[str] | None) -> dict[str, str]:
    return dict(_pair(option, each) for each in _names(given))


def _digits(given: Sequence[str] | None) -> dict[str, int] | int | None:
    """Return the digits of each column, or of all. Raises UsageError for what is no number, and for both at once."""
    texts = _names(given)
    if len(texts) == 1 and "=" not in texts[0]:
        return _whole(texts[0])
    return {name: _whole(value) for name, value in _pairs("digits", texts).items()} or None


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"is a whole number, 0 or more, not {text}", option="digits", given=text)
    return int(text)
