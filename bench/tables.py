"""Tables of results, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archc.compiler.tables import markdown_table

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
    labels = [label for label in (found[0]["ratio"] if found else []) if label != "eager"]
    cells = [
        [row["network"], f"{row['dtype']}, batch {row['batch']}", f"{1000 * row['medians']['eager']:.0f}"]
        + [f"{row['ratio'][label]:.2f}" for label in labels]
        for row in found
    ]
    return markdown_table(["network", "", ">torchvision, ms", *(f">{label}" for label in labels)], cells) if cells else ""


def precision_table(rows: Iterable[dict[str, Any]]) -> str:
    """Level 3 in bfloat16 beside level 3 in float32, by network and batch; each timed in its own run."""
    times = {(row["network"], row["batch"], row["dtype"]): row["medians"]["level 3"] for row in rows if not row.get("training")}
    batches = sorted({batch for _, batch, _ in times})
    cells = []
    for name in dict.fromkeys(name for name, _, _ in times):
        pairs = [(times.get((name, batch, "float32")), times.get((name, batch, "bfloat16"))) for batch in batches]
        if any(one and other for one, other in pairs):
            cells.append([name, *(f"{one / other:.2f}" if one and other else "" for one, other in pairs)])
    return markdown_table(["network", *(f">batch {batch}" for batch in batches)], cells)


def passes_table(rows: Iterable[dict[str, Any]]) -> str:
    """What bench/passes.py found: by network, how many times as fast with each pass as without."""
    rows = list(rows)
    marks = list(dict.fromkeys(_mark(row) for row in rows))
    found = {(row["network"], _mark(row)): row["ratio"] for row in rows}
    cells = []
    for name in dict.fromkeys(row["network"] for row in rows):
        ratios = [found.get((name, mark)) for mark in marks]
        cells.append([name, *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios)])
    return markdown_table(["network", *(f">{mark}" for mark in marks)], cells)


def _mark(row: dict[str, Any]) -> str:
    level = row["level"] if row["level"] == "training" else f"level {row['level']}"
    return f"{row['pass']}, {level}, {row['dtype']}, batch {row['batch']}"


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
