"""Format results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archc.compiler.tables import markdown_table

SHORT = {"eager": "eager", "channels-last": "channels-last", "compile": "compile", "compile, frozen, channels-last": "compile, frozen"}


def inference_table(rows: Iterable[dict[str, Any]]) -> str:
    """Return the speed relative to torchvision's eager module, by network, and that of the last level relative to the best peer."""
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
    """Return a table for every dtype and batch."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        if not row.get("training"):
            groups.setdefault((row["dtype"], row["batch"]), []).append(row)
    return "\n".join(f"### {dtype}, batch {batch}\n\n{inference_table(group)}" for (dtype, batch), group in groups.items())


def training_table(rows: Iterable[dict[str, Any]]) -> str:
    """Return the speed of a step of SGD, relative to torchvision's."""
    steps = [row for row in rows if row.get("training")]
    labels = [label for label in (steps[0]["ratio"] if steps else []) if label != "eager"]
    cells = [
        [row["network"], f"{row['dtype']}, batch {row['batch']}", f"{1000 * row['medians']['eager']:.0f}"]
        + [f"{row['ratio'][label]:.2f}" for label in labels]
        for row in steps
    ]
    return markdown_table(["network", "", ">torchvision, ms", *(f">{label}" for label in labels)], cells) if cells else ""


def precision_table(rows: Iterable[dict[str, Any]]) -> str:
    """Return the speed of level 3 in bfloat16 relative to float32, by network and batch; each is timed in its own run."""
    times = {(row["network"], row["batch"], row["dtype"]): row["medians"]["level 3"] for row in rows if not row.get("training")}
    batches = sorted({batch for _, batch, _ in times})
    cells = []
    for name in dict.fromkeys(name for name, _, _ in times):
        pairs = [(times.get((name, batch, "float32")), times.get((name, batch, "bfloat16"))) for batch in batches]
        if any(one and other for one, other in pairs):
            cells.append([name, *(f"{one / other:.2f}" if one and other else "" for one, other in pairs)])
    return markdown_table(["network", *(f">batch {batch}" for batch in batches)], cells)


def passes_table(rows: Iterable[dict[str, Any]]) -> str:
    """Return the results of bench/passes.py: by network, the speed with each pass relative to that without it."""
    rows = list(rows)
    columns = list(dict.fromkeys(_column(row) for row in rows))
    ratio_of = {(row["network"], _column(row)): row["ratio"] for row in rows}
    cells = []
    for name in dict.fromkeys(row["network"] for row in rows):
        ratios = [ratio_of.get((name, column)) for column in columns]
        cells.append([name, *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios)])
    return markdown_table(["network", *(f">{column}" for column in columns)], cells)


def _column(row: dict[str, Any]) -> str:
    level = row["level"] if row["level"] == "training" else f"level {row['level']}"
    return f"{row['pass']}, {level}, {row['dtype']}, batch {row['batch']}"
