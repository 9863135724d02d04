"""Arguments and options that several verbs take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archc.compiler.analysis.conventions import CONVENTIONS
from archc.compiler.analysis.memory import BYTES, OPTIMIZERS
from archc.compiler.analysis.summary import SORTS
from archc.compiler.draw.labels import LABELS
from archc.compiler.draw.picture import FORMATS, listed
from archc.compiler.draw.style import HEATS, STYLES, THEMES
from archc.compiler.errors import alternatives
from archc.compiler.results.benchmarks import DEVICES, DTYPES
from archc.compiler.results.summaries import LAYOUTS
from archc.ui.verbs.completion import arch_files, words
from archc.ui.verbs.sources import named

File = Annotated[
    Path, typer.Argument(help="a `.arch` file; - is stdin", show_default=False, metavar="FILE", parser=named, autocompletion=arch_files)
]
Files = Annotated[
    list[Path],
    typer.Argument(
        help="`.arch` files, or folders of them; - is stdin",
        show_default=False,
        metavar="FILES...",
        parser=named,
        autocompletion=arch_files,
    ),
]
Configured = Annotated[
    list[Path] | None,
    typer.Argument(
        help="`.arch` files, or folders of them; - is stdin; without any, the `paths` of pyproject.toml or archc.toml",
        show_default=False,
        metavar="[FILES...]",
        parser=named,
        autocompletion=arch_files,
    ),
]
Watch = Annotated[bool, typer.Option("--watch", help="run again whenever a file changes, until Ctrl-C")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="set a parameter of the `arch` line")]
Input = Annotated[list[str] | None, typer.Option("--input", metavar="[NAME=]SHAPE", help="set the shape of an input, as 3x299x299")]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]
MaxNodes = Annotated[int, typer.Option("--max-nodes", min=1, help="the most nodes of a network, and the most statements of a file")]
MaxNesting = Annotated[int, typer.Option("--max-nesting", min=1, max=10_000, help="how deeply calls of blocks and brackets may be nested")]
Out = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="write to a file instead of stdout")]

# ---- tables

FORMS = ("text", "json", "csv", "md", "latex", "html")
Form = Annotated[str, typer.Option("--format", help=alternatives(FORMS), autocompletion=words(*FORMS))]
Csv = Annotated[bool, typer.Option("--csv", help="the same as --format csv")]
Md = Annotated[bool, typer.Option("--md", help="the same as --format md")]
Latex = Annotated[bool, typer.Option("--latex", help="the same as --format latex")]
Sort = Annotated[str, typer.Option("--sort", help=f"{alternatives(SORTS)}: list nodes, the largest first", autocompletion=words(*SORTS))]
Layout = Annotated[
    str, typer.Option("--layout", help="the order of shapes: chw, or hwc with the channels last", autocompletion=words(*LAYOUTS))
]
Convention = Annotated[
    str, typer.Option(help=f"the rule for counting MACs: {alternatives(CONVENTIONS)}", autocompletion=words(*CONVENTIONS))
]
MemoryDtype = Annotated[str, typer.Option("--dtype", help=f"{alternatives(BYTES)}, for memory", autocompletion=words(*BYTES))]
MemoryBatch = Annotated[int, typer.Option("--batch", min=1, help="number of samples, for memory")]
Optimizer = Annotated[str, typer.Option(help=f"{alternatives(OPTIMIZERS)}, for --memory", autocompletion=words(*OPTIMIZERS))]

# ---- running

Device = Annotated[str, typer.Option(help=alternatives(DEVICES), autocompletion=words(*DEVICES))]
Dtype = Annotated[str, typer.Option(help=alternatives(DTYPES), autocompletion=words(*DTYPES))]

# ---- pictures

Style = Annotated[str, typer.Option(help="graph (boxes, top to bottom) or paper (volumes, left to right)", autocompletion=words(*STYLES))]
Theme = Annotated[
    str,
    typer.Option(
        help=f"auto (light, or dark as the reader's screen, in svg and html), {alternatives(tuple(THEMES)[1:])}",
        autocompletion=words(*THEMES),
    ),
]
Heat = Annotated[str, typer.Option(help=f"color by cost: {alternatives(HEATS)}", autocompletion=words(*HEATS))]
Legend = Annotated[bool, typer.Option("--legend/--no-legend", help="a key to the colors")]
Labels = Annotated[
    str,
    typer.Option(
        help=f"what is written on boxes: {alternatives(LABELS)}; by default all in style graph, arguments where they differ in style paper",
        autocompletion=words(*LABELS),
    ),
]
Hide = Annotated[list[str] | None, typer.Option("--hide", metavar="NAMES", help="leave options and arguments out of boxes: pad,bias")]
Depth = Annotated[int | None, typer.Option(min=0, help="levels of blocks to open; by default as many as fit a page")]
Expand = Annotated[list[str] | None, typer.Option("--expand", metavar="PATTERN", help="also open these blocks: layer3, 'layer3*'")]
Collapse = Annotated[list[str] | None, typer.Option("--collapse", metavar="PATTERN", help="keep these blocks closed")]
Flat = Annotated[bool, typer.Option("--flat", help="a box for every operator, no blocks")]
_PARTS = listed(form for form in FORMATS if not form.whole)  # what can draw a difference
Picture = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help=f"also draw it: {_PARTS}, by the suffix")]
PictureFormat = Annotated[
    str,
    typer.Option(
        "--format", help=f"{listed()}; by default by the file's suffix, or svg", autocompletion=words(*(form.name for form in FORMATS))
    ),
]
