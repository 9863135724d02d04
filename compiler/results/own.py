"""Columns of a user's own for a table of networks, from a CSV file: accuracies, latencies, years."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archc.compiler.errors import UsageError
from archc.compiler.files import read_regular, reason
from archc.compiler.results.columns import COLUMNS, Given

NAMES = ("network", "name")  # heads of the column that names networks; without any, it is the first
MOST = 2**24  # bytes


def own_columns(path: Path, networks: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read a CSV file with a head, and return for each network in it the values of the other columns, by head.

    A column whose cells are numbers, or empty, holds numbers as they were written; any other holds text. `networks` are the names of the
    table's networks. Raises UsageError, with the file and the line, for a row of a network that is not among them, or of one that has a
    row already, for a row of another length than the head, for heads that are empty, equal, or those of archc's own columns, and for a
    file that cannot be read.
    """

    def wrong(line: int, problem: str, given: str = "", known: Iterable[str] = ()) -> UsageError:
        return UsageError(f"{path}:{line}: {problem}", option="data", given=given, known=known)

    try:
        text = read_regular(path, MOST).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason(error)}", option="data", given=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text", option="data", given=str(path)) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, [cell.strip() for cell in row]))
    except csv.Error as error:
        raise wrong(reader.line_num, f"this is no CSV: {error}") from None
    if len(rows) < 2:
        raise UsageError(f"{path} has no rows below a head", option="data", given=str(path))
    (first, heads), *body = rows
    at = next((heads.index(name) for name in NAMES if name in heads), 0)
    for head in heads:
        if not head:
            raise wrong(first, "a column has no head")
        if heads.count(head) > 1:
            raise wrong(first, f"two columns have the head {head}")
        if head in COLUMNS and head != "family":
            raise wrong(first, f"{head} is a column that archc computes; give yours another head")
    found: dict[str, dict[str, str]] = {}
    for line, row in body:
        if len(row) != len(heads):
            raise wrong(line, f"the row has {len(row)} cells, and the head {len(heads)}")
        name = row[at]
        if name not in networks:
            raise wrong(line, f"there is no network {name} in the table", name, networks)
        if name in found:
            raise wrong(line, f"there is a row of {name} above")
        found[name] = {head: cell for head, cell in zip(heads, row, strict=True) if head != heads[at]}
    return _typed(found, [head for number, head in enumerate(heads) if number != at])


def _typed(found: Mapping[str, Mapping[str, str]], heads: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the cells of each column as numbers, where all of them are, or as text; None where a cell is empty."""
    typed: dict[str, dict[str, Any]] = {name: {} for name in found}
    for head in heads:
        numbers = {name: _number(row[head]) for name, row in found.items()}
        numeric = head != "family" and all(numbers[name] is not None for name, row in found.items() if row[head])
        for name, row in found.items():
            cell = row[head]
            number = numbers[name]
            typed[name][head] = (Given(cell, number) if numeric and number is not None else cell) if cell else None
    return typed


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
