"""Names: labels made of the names of a source, and a name for every operator of a network."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Sequence

from archc.compiler.elaborate.reserved import MODULE_NAMES
from archc.compiler.frontends.item import CannotRead, Item
from archc.compiler.graph import INPUT

# ---- labels


def writable(label: str) -> bool:
    """Return whether the language can write a label."""
    return bool(re.fullmatch(r"\d+|[A-Za-z]\w*(-\w+)*", label, re.ASCII)) and not keyword.iskeyword(label) and label not in MODULE_NAMES


def label_of(name: str, otherwise: str = "layer", numbers: bool = False) -> str:
    """Return a name of a source as one label; `otherwise` where nothing is left of it. With `numbers`, a number is a label, too."""
    plain = re.sub(r"-[-_]*", "-", re.sub(r"[^A-Za-z0-9_-]", "_", name).strip("_-")) or otherwise
    return plain if writable(plain) and (numbers or not plain.isdigit()) else f"n{plain}"


def path_of(name: str, borders: str, numbers: bool = False) -> str:
    """Return a name of a source as labels with dots between; `borders` are the characters between scopes. Empty parts are dropped."""
    parts = re.split(f"[{re.escape(borders)}]", name)
    return ".".join(label for part in parts if (label := label_of(part, "", numbers) if part.strip("_-") else ""))


def name_of(text: str, otherwise: str = "network") -> str:
    """Return a text as the name of a network, an input or an output; `otherwise` where nothing is left of it."""
    return label_of(text, otherwise).replace("-", "_")


# ---- names of operators


def names_of(items: Sequence[Item], labeled: bool = False) -> tuple[list[str], list[bool]]:
    """Return the names of items in order, and whether each is the source's.

    An operator with weights is called after their key, and one that is a numbered module after its path. Any other is called as the
    language calls what has no label: after its operator, with its number among those of the scope that computes it.
    """
    keyed = {item.key for item in items if item.key}
    for key in keyed:
        for label in key.split("."):
            if not writable(label):
                raise CannotRead(f"its name cannot be written as a label here: {label}", path=key)
    inner = next((key for key in sorted(keyed) if any(around in keyed for around in outer(key))), "")
    if inner:
        raise CannotRead("it has weights of its own, and so has a module around it", path=inner)
    wishes: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        if item.leaf and not item.key:
            wishes.setdefault(item.path, []).append(number)
    groups = {path for path, numbers in wishes.items() if _is_group([items[number] for number in numbers], numbers)}
    scopes = {around for item in items for around in outer(item.key or item.path)} | groups
    scopes |= {item.path for item in items if not item.leaf and not item.key}
    taken, counts = set(keyed), Counter[str]()
    first: set[str] = set()
    names: dict[str, bool] = {}
    for item in items:
        label = item.path.rpartition(".")[2]
        is_kept = label.isdigit() and item.leaf and item.path not in taken and item.path not in scopes and not _owner(item.path, keyed)
        if labeled and item.leaf and item.path and item.path not in names:
            name, given = item.path, True
        elif item.key and item.key not in first and item.key not in names:
            first.add(item.key)
            name, given = item.key, True
        else:
            name, given = item.path, item.op == INPUT or is_kept
        scope = name.rpartition(".")[0] if given else _scope(item, keyed, groups)
        stem = f"{scope}.{item.op}" if scope else item.op
        counts[stem] += 1
        if not given:
            while (name := f"{stem}{counts[stem]}") in taken or name in scopes:
                counts[stem] += 1
        taken.add(name)
        names[name] = given
    return list(names), list(names.values())


def _owner(path: str, keyed: set[str]) -> str:
    """Return the operator with weights that is at a path or around it; "" where there is none."""
    return next((around for around in (path, *outer(path)) if around in keyed), "")


def _scope(item: Item, keyed: set[str], groups: set[str]) -> str:
    """Return the scope of an operator that is named after itself."""
    if owner := _owner(item.path, keyed):
        return owner.rpartition(".")[0]
    path = item.path.rpartition(".")[0] if item.leaf and item.path not in groups else item.path
    return ".".join(label for label in path.split(".") if writable(label))


def _is_group(items: Sequence[Item], numbers: Sequence[int]) -> bool:
    """Return whether a module computes several operators, rather than one each time that it is called."""
    return len({item.op for item in items}) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1


def outer(path: str) -> list[str]:
    """Return the paths of the scopes around a path, the innermost first."""
    parts = path.split(".") if path else []
    return [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]
