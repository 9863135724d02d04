"""Generate the pages of docs/ that contain numbers: `NAME.md.jinja` becomes `NAME.md`, with every figure of ours computed from archs/.

A template contains what a source prints; the figures to compare it with, and the arithmetic in its sentences, are computed here.
"""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import fields, is_dataclass
from functools import cache, partial
from importlib.util import find_spec
from math import prod
from pathlib import Path
from statistics import median

import jinja2

import archc
from archc import Network, load
from archc.compiler.analysis.cost import MEASURES, weights
from archc.compiler.backends import Compiled
from archc.compiler.backends.source import text_of
from archc.compiler.driver import check, check_text
from archc.compiler.elaborate.elaboration import Overrides
from archc.compiler.files import write_text
from archc.compiler.graph import INPUT, Node
from archc.compiler.library import table as compared
from archc.compiler.shapes.dim import show_shape
from archc.compiler.tables import markdown_table
from archc.compiler.variation import Variation
from archc.compiler.zoo import listed
from archc.dsl.rendering import render_all

ROOT = Path(__file__).resolve().parents[1]

UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10}


@cache
def net(name: str, size: str | None = None) -> Network:
    """Load a network of archs/, with the inputs of the file or of another size."""
    return load(ROOT / f"archs/{name}.arch", inputs=size)


def nodes(name: str, label: str = "") -> list[Node]:
    """Return the nodes of a labeled part, or, without a label, all that run at inference. Raises KeyError for an unknown label."""
    graph = net(name).graph
    if not label:
        return [node for node in graph if not node.training_only]
    part = [node for node in graph if node.name == label or node.name.startswith(label + ".")]
    if not part:
        raise KeyError(f"{name} has no part {label}")
    return part


def count(measure: str, name: str, label: str = "") -> int:
    """Return a measure of `expect`, such as `params`, of a network or a labeled part of it."""
    total = MEASURES[measure](net(name).graph, nodes(name, label))
    assert isinstance(total, int)
    return total


def params(name: str, label: str = "") -> int:
    return count("params", name, label)


def macs(name: str, label: str = "") -> int:
    return count("macs", name, label)


def connections(name: str, label: str = "") -> int:
    return count("connections", name, label)


def kernels(name: str, label: str = "") -> int:
    """Count the trainable scalars without the biases."""
    graph = net(name).graph
    return sum(prod(shape) for node in nodes(name, label) for key, shape in weights(graph, node).items() if key != "bias")


def shape(name: str, label: str) -> str:
    return show_shape(net(name)[label])


def values(name: str, label: str) -> int:
    """Count the values of one tensor."""
    return prod(net(name)[label])


def all_values(name: str, *operators: str) -> int:
    """Count the values of the input and of the outputs of these operators."""
    return sum(prod(node.shape) for node in nodes(name) if node.op in (INPUT, *operators))


MEASURED = {
    "output": shape,
    "parameters": lambda name, label: params(name, label),
    "weights": kernels,
    "connections": lambda name, label: connections(name, label),
    "MACs": lambda name, label: macs(name, label),
    "values": values,
}


def table(name: str, columns: list[str], text: str) -> str:
    """Return a Markdown table of what a source prints and what the file computes, from a line `row | label | printed | printed ...` each.

    `*` is the whole network; `-` leaves the cell empty. A printed `34M` or `1.8G` is compared at the precision printed; `112Ki`
    counts in 1,024. Figures that differ are bold.
    """
    heads = [f"{column}: {who}" for column in columns for who in ("printed", "ours")]
    lines = ["| | " + " | ".join(heads) + " |", "|--|" + "--:|" * len(heads)]
    for row in text.strip().splitlines():
        title, label, *printed = (cell.strip() for cell in row.split("|"))
        assert len(printed) == len(columns), row
        cells = []
        for column, theirs in zip(columns, printed, strict=True):
            if theirs == "-":
                cells += ["", ""]
                continue
            ours = MEASURED[column](name, "" if label == "*" else label)
            shown, same = compare(theirs, ours)
            cells += [theirs.replace("Ki", "K"), shown if same else f"**{shown}**"]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def compare(theirs: str, ours: int | str) -> tuple[str, bool]:
    """Return our figure as it is shown, and whether it equals the printed one at the precision printed."""
    if isinstance(ours, str):
        return ours, ours == theirs
    number = theirs.rstrip("KMGi")
    unit = UNITS.get(theirs[len(number) :])
    if unit is None:
        return f"{ours:,}", ours == int(number.replace(",", ""))
    digits = len(number.partition(".")[2])
    return f"{ours:,} = {ours / unit:.{digits + 1}f}{theirs[len(number) :].rstrip('i')}", f"{ours / unit:.{digits}f}" == number


# Family -> the files that define it (in archs/, not counting those with only arguments), torchvision's module, the networks.
FAMILIES = {
    "AlexNet": (["alexnet_torchvision"], "alexnet", ["alexnet_torchvision"]),
    "VGG": (["std/vgg"], "vgg", ["vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]),
    "GoogLeNet": (["googlenet_torchvision"], "googlenet", ["googlenet_torchvision"]),
    "Inception v3": (["inception_v3"], "inception", ["inception_v3"]),
    "ResNet, ResNeXt, Wide ResNet": (["std/resnet", "std/residual"], "resnet", [
        "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d",
        "wide_resnet50_2", "wide_resnet101_2",
    ]),
    "DenseNet": (["std/densenet"], "densenet", ["densenet121", "densenet161", "densenet169", "densenet201"]),
    "SqueezeNet": (["std/squeezenet"], "squeezenet", ["squeezenet1_0", "squeezenet1_1"]),
    "MobileNet v2": (["mobilenet_v2"], "mobilenetv2", ["mobilenet_v2"]),
    "MobileNet v3": (["std/mobilenet_v3"], "mobilenetv3", ["mobilenet_v3_large", "mobilenet_v3_small"]),
    "MnasNet": (["std/mnasnet"], "mnasnet", ["mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"]),
    "ShuffleNet v2": (["std/shufflenet_v2"], "shufflenetv2", [f"shufflenet_v2_x{x}" for x in ("0_5", "1_0", "1_5", "2_0")]),
    "EfficientNet, v1 and v2": (["std/efficientnet", "std/efficientnet_v2", "std/mbconv", "std/squeeze_excitation"], "efficientnet", [
        *(f"efficientnet_b{size}" for size in range(8)), *(f"efficientnet_v2_{size}" for size in "sml"),
    ]),
    "RegNet": (["std/regnet"], "regnet", [
        *(f"regnet_x_{flops}" for flops in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")),
        *(f"regnet_y_{flops}" for flops in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf", "128gf")),
    ]),
    "ConvNeXt": (["std/convnext"], "convnext", [f"convnext_{size}" for size in ("tiny", "small", "base", "large")]),
    "Swin Transformer, v1 and v2": (["std/swin"], "swin_transformer", [f"swin_{size}" for size in ("t", "s", "b", "v2_t", "v2_s", "v2_b")]),
    "Video Swin Transformer": (["std/swin3d"], "video/swin_transformer", ["swin3d_t", "swin3d_s", "swin3d_b"]),
    "Multiscale vision transformers, v1 and v2": (["std/mvit"], "video/mvit", ["mvit_v1_b", "mvit_v2_s"]),
    "MaxViT": (["std/maxvit"], "maxvit", ["maxvit_t"]),
    "Vision Transformer": (["std/vit"], "vision_transformer", ["vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14"]),
}  # fmt: skip


def lines_of(*names: str) -> int:
    """Count the lines of files in archs/."""
    return sum(len((ROOT / f"archs/{name}.arch").read_text(encoding="utf-8").splitlines()) for name in names)


def zoo_families() -> str:
    """Return a table of the length of each family, here and in torchvision, whose files also contain documentation and lists of weights."""
    package = find_spec("torchvision")
    assert package is not None and package.origin is not None
    models = Path(package.origin).parent / "models"
    rows = []
    lengths, thins = [], []
    for family, (files, module, names) in FAMILIES.items():
        thin = [lines_of(name) for name in names if name not in files]
        theirs = len((models / f"{module}.py").read_text(encoding="utf-8").splitlines())
        rows.append([family, str(len(names)), str(lines_of(*files)), f"{median(thin):g}" if thin else "", f"{theirs:,}"])
        lengths += [lines_of(name) for name in files]
        thins += thin
    rows.append(["median of all files", "", f"{median(lengths):g}", f"{median(thins):g}", ""])
    return markdown_table(["family", ">networks", ">lines of the family", ">of each network, median", ">torchvision's module"], rows)


def zoo_size() -> int:
    """Count the networks of all families."""
    return sum(len(names) for _, _, names in FAMILIES.values())


def zoo_networks() -> str:
    """Return a table of all networks with parameters, MACs and sources."""
    rows = []
    for _, _, names in FAMILIES.values():
        for name in names:
            listing = listed(ROOT / f"archs/{name}.arch")
            assert isinstance(listing.macs, int)
            rows.append([f"[{name}](../archs/{name}.arch)", f"{listing.params:,}", f"{listing.macs / 1e9:.3f}", listing.source])
    return markdown_table(["network", ">parameters", ">GMACs", "source"], rows)


def message(text: str) -> str:
    """Return the message of `archc check` for a text that has errors."""
    report = check_text(text, name="net.arch")
    assert not report.ok
    return render_all(report.diagnostics)


def side_by_side(programs: dict[str, str]) -> str:
    """`archc table` over short programs."""
    networks = []
    for name, text in programs.items():
        report = check_text(text, folder=ROOT / "archs")
        assert report.ok, render_all(report.diagnostics)
        networks.append((name, Network(report)))
    return compared(networks).markdown().rstrip()


def compare_files(names: list[str]) -> str:
    """`archc table` over files of archs/."""
    return compared((name, net(name)) for name in names).markdown().rstrip()


def difference(first: str, second: str) -> str:
    """What `archc diff` says."""
    return net(first).diff(net(second), names=(first, second)).text()


def interface() -> str:
    """Describe every public name: functions and classes with their signatures, docstrings, fields and methods."""
    values = {name: getattr(archc, name) for name in archc.__all__ if name != "__version__"}
    functions = [_described(f"archc.{name}", value) for name, value in values.items() if not isinstance(value, type)]
    classes = [_class(name, value) for name, value in values.items() if isinstance(value, type)]
    return "\n".join(["## Functions\n", *functions, "## Types\n", *classes]).rstrip()


def _class(name: str, value: type) -> str:
    lines = [f"### {name}\n", f"{inspect.getdoc(value)}\n"]
    if rows := _fields(value):
        lines += ["| field | type | |", "|--|--|--|", *(f"| `{field}` | `{type_}` | {words} |" for field, type_, words in rows), ""]
    members = [(key, member) for key, member in vars(value).items() if not key.startswith("_") or key == "__getitem__"]
    properties = [(key, member) for key, member in members if isinstance(member, property)]
    lines += [f"* `{key}`: {' '.join((inspect.getdoc(member) or '').split())}" for key, member in properties]
    lines += [""] * bool(properties)
    lines += [_described(f"{name}.{key}", member, "####") for key, member in members if inspect.isfunction(member)]
    return "\n".join(lines)


def _fields(value: type) -> list[tuple[str, str, str]]:
    """The fields of a dataclass, with what the source says of each on its line."""
    if not is_dataclass(value):
        return []
    source = "".join(inspect.getsource(base) for base in value.__mro__ if is_dataclass(base))
    rows = []
    for field in fields(value):
        line = re.search(rf"^    {field.name}: ([^=#\n]+?)(?: = [^#\n]*)?(?:  # (.*))?$", source, re.M)
        assert line is not None, f"{value.__name__}.{field.name}"
        rows.append((field.name, line[1].replace("|", "\\|"), re.sub(r"noqa\S*( \S+)* *(\(.*\))?", "", line[2] or "")))
    return rows


def _described(name: str, function: object, level: str = "###") -> str:
    assert callable(function)
    shown = []
    bare = False
    for key, parameter in inspect.signature(function).parameters.items():
        if key == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not bare:
            shown.append("*")
            bare = True
        sign = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        shown.append(f"{sign}{key}: {parameter.annotation}{default}")
    result = inspect.signature(function).return_annotation
    head = f"{name}({', '.join(shown)}) -> {result}"
    if len(head) > 120:
        head = f"{name}(\n" + "".join(f"    {part},\n" for part in shown) + f") -> {result}"
    return f"{level} {name}\n\n```text\n{head}\n```\n\n{inspect.getdoc(function)}\n"


def source() -> str:
    """Return the text of the network of docs/compiler.md."""
    return (ROOT / "docs/small.arch").read_text(encoding="utf-8")


@cache
def stages_of(level: int) -> dict[str, str]:
    """Return what `archc compile docs/small.arch --optimize LEVEL --print-after all` prints, by stage."""
    return load(ROOT / "docs/small.arch").stages(level=level)


def stage(name: str, level: int = 2) -> str:
    """Return what the compiler has after a stage, as text."""
    return stages_of(level)[name]


def stage_list(level: int) -> str:
    """Return the names of the stages of a level, as a sentence has them."""
    *first, last = (f"`{name}`" for name in stages_of(level))
    return f"{', '.join(first)} and {last}"


def commas(number: float) -> str:
    return f"{number:,}"


def render(template: Path) -> str:
    """Return the page that a template produces."""
    loader = jinja2.FileSystemLoader(ROOT / "docs")
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True)
    environment.filters["n"] = commas
    functions = (
        net,
        params,
        macs,
        connections,
        kernels,
        shape,
        values,
        all_values,
        table,
        message,
        interface,
        difference,
        side_by_side,
        compare_files,
        zoo_size,
        zoo_families,
        zoo_networks,
        source,
        stage,
        stage_list,
    )
    environment.globals.update({function.__name__: function for function in functions})
    return environment.get_template(template.name).render()


EMITTED = ("googlenet", "resnet50", "vit_b_16")  # networks of docs/source.md


def emitted() -> dict[Path, str]:
    """Return the files of docs/source/: networks as PyTorch source, beside the files that it was made from."""
    files: dict[Path, str] = {}
    for name in EMITTED:
        files[ROOT / f"docs/source/{name}.arch"] = (ROOT / f"archs/{name}.arch").read_text(encoding="utf-8")
        varied = Variation(partial(check, ROOT / f"archs/{name}.arch", mend=False), Overrides())
        files[ROOT / f"docs/source/{name}.py"] = text_of(Compiled(net(name).graph, varied=varied))
    return files


def main() -> None:
    """Write every page, or, with `--check`, exit with a message where a page is out of date."""
    from editor_pictures import pictures  # beside this file: the folder of a script is searched

    for path, text in {**emitted(), **pictures()}.items():
        if "--check" not in sys.argv:
            write_text(path, text)
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path.relative_to(ROOT)} is not what archc produces: run `make docs`")
    for template in sorted((ROOT / "docs").glob("*.jinja")):
        page = template.with_suffix("")
        text = render(template)
        if "--check" not in sys.argv:
            write_text(page, text)
        elif not page.exists() or page.read_text(encoding="utf-8") != text:
            sys.exit(f"{page.name} is not what {template.name} produces: run `make docs`")


if __name__ == "__main__":
    main()
