"""The columns of a table of networks: what they hold, in which unit and with how many digits it is written, and which value is best."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from archc.compiler.analysis.family import Entry
from archc.compiler.analysis.receptive import Field
from archc.compiler.errors import UsageError, at_least, one_of
from archc.compiler.results.summaries import in_bytes
from archc.compiler.shapes.dim import Formula

COUNTS = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "e3": 10**3, "e6": 10**6, "e9": 10**9}  # `e9` writes 1.8×10⁹
SIZES = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
DIGITS = 1  # behind the point, where a unit is given and nothing else is said
MOST_DIGITS = 12
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
OPEN = "depend on sizes"
FLOATS = ("", "table", "table*", "sidewaystable")  # environments of LaTeX; the last is of the package rotating
FONTS = ("", "small", "footnotesize", "scriptsize", "tiny")  # of LaTeX, from large to small


@dataclass(frozen=True)
class Column:
    """One column: its key, its head (with `>` where it is aligned to the right), and its value of an entry, None where there is none.

    `units` are those that it can be written in; `best` is `low` or `high`, or empty where no value is better than another.
    """

    key: str
    head: str
    value: Callable[[Entry], Any]
    units: Mapping[str, int] = field(default_factory=dict)
    best: str = ""

    @property
    def title(self) -> str:
        """The head as it is shown."""
        return self.head.removeprefix(">")

    @property
    def in_bytes(self) -> bool:
        """Whether its values are bytes."""
        return self.units is SIZES

    def write(self, entry: Entry, unit: str = "", digits: int | None = None) -> str:
        """Write the value of an entry: `11,689,512`, or `11.7` in the unit M; empty where there is none."""
        value = self.value(entry)
        if value is None:
            return ""
        if isinstance(value, Formula):
            return OPEN
        if unit:
            text = f"{value / self.units[unit]:,.{DIGITS if digits is None else digits}f}"
            return f"{text}×10{unit[1:].translate(RAISED)}" if unit.startswith("e") else text
        if isinstance(value, Given):
            return value.text if digits is None else f"{value.number:,.{digits}f}"
        if self.in_bytes:
            return in_bytes(value)
        return f"{value:,}" if isinstance(value, int) else str(value)

    def number(self, entry: Entry) -> float | None:
        """Return the value of an entry as a number, None where it is none."""
        value = self.value(entry)
        if isinstance(value, Given):
            return value.number
        if isinstance(value, Field):
            return math.inf if value.whole else max(math.inf if size is None else float(size) for size in value.sizes or [0])
        return float(value) if isinstance(value, int) else None


@dataclass(frozen=True)
class Given:
    """A number of a user, as it was written."""

    text: str
    number: float


def _doubled(entry: Entry) -> Any:
    return 2 * entry.macs


COLUMNS: dict[str, Column] = {
    column.key: column
    for column in (
        Column("params", ">parameters", lambda e: e.params, COUNTS, "low"),
        Column("macs", ">MACs", lambda e: e.macs, COUNTS, "low"),
        Column("flops", ">FLOPs", _doubled, COUNTS, "low"),
        Column("layers", ">layers", lambda e: e.depth),
        Column("field", ">field", lambda e: e.receptive_field),
        Column("inference", ">inference", lambda e: e.peak, SIZES, "low"),
        Column("backward", ">kept for backward", lambda e: e.saved, SIZES, "low"),
        Column("family", "family", lambda e: e.family),
    )
}
USUAL = ("params", "macs", "layers", "field", "inference", "backward")
LAYERS = ("params", "macs")  # what is below a table of layers


@dataclass(frozen=True)
class Look:
    """How a table is shown.

    `columns` names those shown, in order; `units` and `digits` (behind the point) are by column; `sort` is a column, from small to large,
    or `-` and a column, from large to small; `group_by` a column with a few values; `bold` marks the best value of each column, and what
    a table of layers adds from column to column; less is better in the own columns `lower`; `rename` holds other names of networks,
    columns and stages, and of cells of layers. The rest is for LaTeX: a `caption` and a `label`; the environment `floats`, as `table*` over
    both columns of a page; and a `font`, a size of LaTeX, as `footnotesize`. Raises UsageError for negative digits, and unknown ones.
    """

    columns: tuple[str, ...] | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    digits: Mapping[str, int] | int | None = None
    sort: str = ""
    group_by: str = ""
    bold: bool = False
    lower: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    caption: str = ""
    label: str = ""
    floats: str = ""
    font: str = ""

    def __post_init__(self) -> None:
        one_of("float", self.floats, FLOATS)
        one_of("font", self.font, FONTS)
        for digits in self.digits.values() if isinstance(self.digits, Mapping) else [self.digits]:
            if digits is not None:
                at_least("digits", digits, 0)
                if digits > MOST_DIGITS:
                    raise UsageError(f"is at most {MOST_DIGITS}, not {digits}", option="digits", given=digits)

    def named(self, name: str) -> str:
        """Return the name that is shown for a network, a column or a stage."""
        return self.rename.get(name, name)

    def precision(self, column: str) -> int | None:
        """Return the digits of a column, None where nothing is said."""
        return self.digits.get(column) if isinstance(self.digits, Mapping) else self.digits

    def check_names(self, known: Iterable[str]) -> None:
        """Raise UsageError where something is renamed that is not there."""
        known = list(known)
        for name in self.rename:
            if name not in known:
                raise UsageError(
                    f"names {name}, and there is no network, column, stage or layer of this name", option="rename", given=name, known=known
                )

    def everything(self, entries: Sequence[Entry]) -> dict[str, Column]:
        """Return all columns of some entries, by key: those of archc, and behind them those of the user."""
        return all_columns(entries, self.lower)

    def chosen(self, entries: Sequence[Entry], usual: Sequence[str]) -> list[Column]:
        """Return the columns that are shown, those of the user behind the `usual` ones. Raises UsageError for a name that is none."""
        known = self.everything(entries)
        for option, names in (("units", self.units), ("digits", self.digits if isinstance(self.digits, Mapping) else ())):
            for name in names:
                one_of(option, name, list(known))
        for name, unit in self.units.items():
            one_of(f"units of {name}", unit, list(known[name].units))
        if self.columns is None:
            own = [key for key in known if key not in COLUMNS and key != self.group_by]
            return [known[name] for name in (*usual, *own)]
        for name in self.columns:
            one_of("columns", name, list(known))
        return [known[name] for name in dict.fromkeys(self.columns)]

    def head(self, column: Column) -> str:
        """Return the head of a column, with its unit."""
        unit = self.units.get(column.key, "")
        title = self.rename.get(column.key, column.title)
        mark = column.head[: len(column.head) - len(column.title)]
        return mark + (title if not unit or unit.startswith("e") else f"{title} ({unit})")

    def write(self, column: Column, entry: Entry) -> str:
        """Write the value of a column."""
        return column.write(entry, self.units.get(column.key, ""), self.precision(column.key))

    def ordered(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries in the order of `sort`, those without a value last, and each group together. Raises UsageError."""
        known = self.everything(entries)
        found = list(entries)
        if self.sort:
            falls = self.sort.startswith("-")
            name = self.sort.removeprefix("-")
            one_of("sort", name, ["name", *known])
            keys = {id(entry): _sort_key(entry, known.get(name)) for entry in found}
            there = sorted((e for e in found if keys[id(e)] is not None), key=lambda e: keys[id(e)], reverse=falls)
            found = [*there, *(entry for entry in found if keys[id(entry)] is None)]
        if self.group_by:
            one_of("group_by", self.group_by, list(known))
            column = known[self.group_by]
            groups = list(dict.fromkeys(column.write(entry) for entry in found))
            found.sort(key=lambda entry: groups.index(column.write(entry)))
        return found

    def best(self, column: Column, entries: Sequence[Entry]) -> list[bool]:
        """Return for each entry whether its value is the best of the column: as it is written, so that equal texts are marked alike."""
        numbers = [column.number(entry) for entry in entries]
        known = [number for number in numbers if number is not None]
        if not self.bold or not column.best or len(known) < 2:
            return [False] * len(entries)
        best = min(known) if column.best == "low" else max(known)
        text = {self.write(column, entry) for entry, number in zip(entries, numbers, strict=True) if number == best}
        return [number is not None and self.write(column, entry) in text for entry, number in zip(entries, numbers, strict=True)]


PLAIN = Look()


def waiver(entry: Entry) -> str:
    """Return the footnote of a network that is not what its file claims; empty where every claim of its file holds."""
    names = dict.fromkeys(
        "shapes" if claim.startswith("=>") else re.split(r"\s*(?:[=<>!]=|[<>:])\s*", claim.removeprefix("expect "))[0]
        for claim in entry.waived
    )
    if not names:
        return ""
    said = list(names)[:3] + [f"{len(names) - 3} more"] * (len(names) > 3)
    listed = " and ".join(part for part in (", ".join(said[:-1]), said[-1]) if part)
    return f"Settings or inputs are not those of the file, whose claims on {listed} are waived."


def all_columns(entries: Sequence[Entry], lower: Iterable[str] = ()) -> dict[str, Column]:
    """Return the columns of archc, and behind them those of the user. Raises UsageError for a `lower` that is none of the latter."""
    own: dict[str, Column] = {}
    for entry in entries:
        for key, value in entry.own.items():
            if key not in own or own[key].best:
                numeric = isinstance(value, Given) or value is None
                own[key] = Column(key, f">{key}" if numeric else key, _own(key), best="high" if numeric else "")
    for name in lower:
        one_of("lower", name, [key for key in own if own[key].best] or ["a column of numbers of one's own"])
        own[name] = replace(own[name], best="low")
    return {**COLUMNS, **own}


def _own(key: str) -> Callable[[Entry], Any]:
    return lambda entry: entry.own.get(key)


def _sort_key(entry: Entry, column: Column | None) -> Any:
    if column is None:
        return entry.name
    number = column.number(entry)
    if number is not None:
        return number
    value = column.value(entry)
    return value if isinstance(value, str) else None
