"""What the pages of the Python interface say of a class beyond its docstrings: its fields, with their types and comments."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass


def fields_of(value: type) -> list[tuple[str, str, str]]:
    """Return the fields of a dataclass, with what the source says of each on its line; none for another class."""
    if not is_dataclass(value):
        return []
    source = "".join(inspect.getsource(base) for base in value.__mro__ if is_dataclass(base))
    rows = []
    for field in fields(value):
        line = re.search(rf"^    {field.name}: ([^=#\n]+?)(?: = [^#\n]*)?(?:  # (.*))?$", source, re.M)
        assert line is not None, f"{value.__name__}.{field.name}"
        rows.append((field.name, line[1], re.sub(r"noqa\S*( \S+)* *(\(.*\))?", "", line[2] or "")))
    return rows
