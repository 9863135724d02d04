"""The pages of the networks in archs/: picture, numbers, sizes, source. They are made when the site is built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from archc import ArchError, Network, load, table
from archc.compiler.shapes.dim import show_shape
from archc.compiler.tables import markdown_table
from archc.compiler.zoo import Listed, listed, networks

OPEN = {2: "xHxW", 3: "xDxHxW"}  # axes after the channels -> an input that leaves them open


def write(folder: Path) -> list[str]:
    """Write the pages and pictures into a folder; return the files of the repository that the pages link to."""
    folder.mkdir()
    facts = []
    for path in networks():
        net = load(path)
        (folder / picture(path)).write_bytes(net.draw())
        (folder / f"{path.stem}.md").write_text(page(path, net), encoding="utf-8")
        facts.append(listed(path))
    (folder / "index.md").write_text(index(facts), encoding="utf-8")
    return sorted({f"archs/{name}" for path in networks() for name in used(path)})


def picture(path: Path) -> str:
    """Return the name of a network's picture. Sphinx puts all pictures into one folder, and numbers those that are called alike."""
    return f"network-{path.stem}.svg"


def used(path: Path) -> list[str]:
    """Return the files that a network uses, by their names below archs/."""
    return re.findall(r'^use "(.*)"', path.read_text(encoding="utf-8"), re.M)


def page(path: Path, net: Network) -> str:
    """Return the page of one network."""
    text = path.read_text(encoding="utf-8")
    comment = [line.removeprefix("#").strip() for line in text.split("\narch ")[0].splitlines() if line.startswith("#")]
    parts = [
        f"# {path.stem}",
        escaped(f"{net.graph.title}."),
        escaped(" ".join(line for line in comment if line)),
        f"![The graph of {path.stem}, with its blocks folded]({picture(path)})",
        "## Numbers",
        table([(path.stem, net)]).markdown().rstrip(),
        numbers(net),
        sizes(path, net),
        "## Source",
        f"`archs/{path.name}`" + "".join(f", which uses [{name}](repository:../source/archs/{name}.html)" for name in used(path)),
        f"```arch\n{text}```",
        f"## Summary\n\n`archc summary archs/{path.name}`",
        escaped_cells(net.summary().markdown()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def numbers(net: Network) -> str:
    """Return what goes in and comes out, the claims, and what exists in training only."""
    graph = net.graph
    rows = [f"* input `{node.name}`: {show_shape(node.shape)}" for node in graph.inputs]
    rows += [f"* output `{name}`: {show_shape(graph[each.node].shape)}" for name, each in graph.outputs.items() if not each.training_only]
    if net.params_training != net.params:
        rows.append(f"* {net.params_training:,} parameters with what exists in training only")
    claims = len(net.claims)
    rows.append(f"* {claims} claims in its files, all verified" if claims else "* no claims")
    return "\n".join(rows)


def sizes(path: Path, net: Network) -> str:
    """Return which sizes of its input the network takes, where it has one with open sizes."""
    inputs = net.graph.inputs
    shape = inputs[0].shape
    if len(inputs) != 1 or len(shape) - 1 not in OPEN:
        return ""
    wanted = f"{shape[0]}{OPEN[len(shape) - 1]}"
    command = f"`archc check archs/{path.name} --input {wanted}`"
    try:
        free = load(path, inputs=wanted)
    except ArchError:
        return f"Its sizes are fixed: {command} says where."
    legal = ", ".join(f"`{each}`" for each in free.legal.values()) or "all sizes"
    results = ", ".join(f"`{show_shape(free.graph[each.node].shape)}`" for each in free.graph.outputs.values() if not each.training_only)
    return f"Legal sizes of the input {wanted}: {legal}. The output is then {results} ({command})."


def index(facts: list[Listed]) -> str:
    """Return the page that lists all networks, by family."""
    families: dict[str, list[Listed]] = {}
    for each in facts:
        families.setdefault(each.family, []).append(each)
    rows = [
        [
            f"[{each.name}]({each.name}.md)",
            f"{each.params:,}",
            f"{each.macs / 1e9:.3f}" if isinstance(each.macs, int) else "",
            escaped(each.source),
        ]
        for family in sorted(families)
        for each in families[family]
    ]
    head = (
        f"# Networks\n\nThe {len(facts)} networks of `archs/`, each with its picture, its numbers, the sizes it takes, and its source.\n"
        "`archc list` prints them.\n"
    )
    toctree = "```{toctree}\n:hidden:\n:maxdepth: 1\n\n" + "".join(f"{each.name}\n" for each in facts) + "```\n"
    return f"{head}\n{markdown_table(['network', '>parameters', '>GMACs', 'source'], rows)}\n\n{toctree}"


def escaped(text: str) -> str:
    """Return plain text as Markdown."""
    return re.sub(r"([\\`*_<>\[\]{}$|])", r"\\\1", text)


def escaped_cells(markdown: str) -> str:
    """Return a table whose cells are plain text, so that `<` and `*` in them are what they are."""
    return re.sub(r"([*_<>])", r"\\\1", markdown)


def names() -> Iterator[str]:
    """Yield the names of the networks."""
    yield from (path.stem for path in networks())
