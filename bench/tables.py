"""Tables of results, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from compiler.show.tables import markdown_table

SHORT = {"eager": "eager", "channels-last": "channels-last", "compile": "compile", "compile, frozen, channels-last": "compile, frozen"}


def agreement_row(row: dict[str, Any]) -> str:
    return (
        f"| {row['network']} | {row['dtype']} | {row['error']:.1e}{'' if row['near'] else ' (too large)'} | {1000 * row['seconds']:.2f} |"
    )


def inference_table(rows: Iterable[dict[str, Any]]) -> str:
    """How many times as fast as torchvision's eager module, by network; the best peer, and level 3 against it."""
    rows = list(rows)
    if not rows:
        return ""
    labels = list(rows[0]["ratio"])
    base = labels[0]
    heads = [
        "network",
        f"{base}, ms",
        *(f">{SHORT.get(label, label)}" for label in labels[1:]),
        ">last level / best peer",
        ">share of peak",
    ]
    cells = []
    for row in rows:
        last = labels[-1]
        best = f"{row['against_best'][last]:.2f}" if row.get("against_best") else ""
        ratios = [f"{row['ratio'][label]:.2f}" for label in labels[1:]]
        cells.append([row["network"], f"{1000 * row['medians'][base]:.1f}", *ratios, best, f"{100 * row['share'][last]:.0f} %"])
    return markdown_table(heads, cells)


def by_setting(rows: Iterable[dict[str, Any]]) -> str:
    """A table for every dtype and batch."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        if not row.get("training"):
            groups.setdefault((row["dtype"], row["batch"]), []).append(row)
    return "\n".join(f"### {dtype}, batch {batch}\n\n{inference_table(found)}" for (dtype, batch), found in groups.items())


def training_table(rows: Iterable[dict[str, Any]]) -> str:
    """A step of SGD, as many times as fast as torchvision's."""
    found = [row for row in rows if row.get("training")]
    cells = [
        [row["network"], f"{row['dtype']}, batch {row['batch']}", f"{1000 * row['medians']['eager']:.0f}"]
        + [f"{row['ratio'][label]:.2f}" for label in ("level 0", "level 1")]
        for row in found
    ]
    return markdown_table(["network", "", ">torchvision, ms", ">level 0", ">level 1"], cells) if cells else ""


def gpu_page(found: dict[str, Any]) -> str:
    """What `bench/gpu.py` measured."""
    head = "| network | dtype | largest error, relative | milliseconds |\n|--|--|--:|--:|"
    lines = "\n".join(agreement_row(row) for row in found["agreement"])
    return f"""# On a GPU

Made by `python bench/gpu.py`, on {found["machine"]}.

## Against float64 on the CPU

{head}
{lines}

## Speed, as ratios

{by_setting(found["speed"])}"""
