"""Draws the pictures of docs/gallery/ and writes the page that shows them, docs/gallery.md."""

from __future__ import annotations

from pathlib import Path

from archc import load
from archc.compiler.analysis.diff import diff
from archc.compiler.draw.difference import difference
from archc.compiler.draw.fold import Folding, scene
from archc.compiler.draw.picture import picture
from archc.compiler.draw.style import Look
from archc.compiler.files import write_bytes, write_text

ROOT = Path(__file__).resolve().parents[1]

NETWORKS = ("lenet5", "alexnet", "zfnet", "vgg16", "googlenet", "resnet18", "resnet34", "resnet50", "resnet152", "mobilenet_v2", "unet")
OPENED = (("googlenet", "inception3a"), ("resnet50", "layer2*"))
HEAD = """# Gallery

Made by `make gallery`. Every picture is drawn from its file in archs/; hover over a box for its shape and counts. The
colours follow the theme of the page.

"""


def section(title: str, command: str, images: list[str]) -> str:
    shown = "\n\n".join(f"![{title}](gallery/{image}.svg)" for image in images)
    return f"## {title}\n\n    {command}\n\n{shown}\n"


def main() -> None:
    folder = ROOT / "docs/gallery"
    folder.mkdir(exist_ok=True)
    sections = []
    for name in NETWORKS:
        net = load(f"archs/{name}.arch")
        write_bytes(folder / f"{name}.svg", net.draw())
        write_bytes(folder / f"{name}_paper.svg", net.draw(style="paper"))
        command = f"archc draw archs/{name}.arch -o {name}.svg                   # and with --style paper"
        sections.append(section(f"{name}: {net.graph.title}", command, [f"{name}_paper", name]))
    for name, pattern in OPENED:
        image = f"{name}_{pattern.strip('*')}"
        write_bytes(folder / f"{image}.svg", load(f"archs/{name}.arch").draw(expand=(pattern,)))
        command = f"archc draw archs/{name}.arch --expand '{pattern}' -o {image}.svg"
        sections.append(section(f"{name}, {pattern} opened", command, [image]))
    a, b = (load(f"archs/{name}.arch").graph for name in ("resnet50_v1", "resnet50"))
    write_bytes(folder / "resnet50_heat.svg", picture(scene(b), "svg", look=Look(heat="macs")))
    command = "archc draw archs/resnet50.arch --heat macs -o resnet50_heat.svg"
    sections.append(section("resnet50 by its MACs", command, ["resnet50_heat"]))
    write_bytes(folder / "resnet50_diff.svg", picture(difference(a, b, diff(a, b), Folding()), "svg"))
    command = "archc diff archs/resnet50_v1.arch archs/resnet50.arch -o resnet50_diff.svg"
    sections.append(section("resnet50 as published and with the stride in the 3x3", command, ["resnet50_diff"]))
    a, b = (load(f"archs/{name}.arch").graph for name in ("plain34", "resnet34"))
    write_bytes(folder / "resnet34_diff.svg", picture(difference(a, b, diff(a, b), Folding()), "svg"))
    command = "archc diff archs/plain34.arch archs/resnet34.arch -o resnet34_diff.svg"
    sections.append(section("the skips of resnet34", command, ["resnet34_diff"]))
    write_text(ROOT / "docs/gallery.md", HEAD + "\n".join(sections))


if __name__ == "__main__":
    main()
