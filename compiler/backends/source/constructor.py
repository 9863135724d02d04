"""The constructor of a class: its members, with loops over those that differ in little."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from archc.compiler.backends.source.arguments import Argument
from archc.compiler.backends.source.classes import Class, Classes
from archc.compiler.backends.source.expressions import literal
from archc.compiler.backends.source.folding import Item, Loop, folded, one_line
from archc.compiler.backends.source.helpers import called
from archc.compiler.backends.source.layout import WIDTH, Doc, Group, call, flat, lines, named
from archc.compiler.backends.source.library import MODULES, Signature
from archc.compiler.backends.source.parts import Chain, Child, Member, New, Weight, is_numbered
from archc.compiler.backends.source.series import Series

DECLARED = "        layers: list[nn.Module] = []"
KEEPS = "keeps the numbers of the keys"


class Constructor:
    """Writes the members of one class."""

    def __init__(self, made: Class, classes: Classes) -> None:
        self.made, self.classes = made, classes
        self.helpers: set[str] = set()
        self.lines: list[str] = []

    def write(self) -> list[str]:
        """Return the lines of the body of `__init__`."""
        unit = self.made.first
        if unit.chain is not None:
            self._sequence("super().__init__(", unit.chain)
            return self.lines
        self.lines.append("        super().__init__()")
        open_under = ""
        for place, (name, member) in enumerate(unit.members):
            found = self.made.condition("member", place)
            condition = found.text if found is not None else ""
            if condition and self.made.replaced(place):
                self._replaced(name, member, condition)
                open_under = ""
                continue
            if condition and condition != open_under:
                self.lines.append(f"        if {condition}:")
            open_under = condition
            before = len(self.lines)
            if isinstance(member, Series):
                self._series(member)
            else:
                self._member(name, member)
            if condition:
                self.lines[before:] = [f"    {line}" for line in self.lines[before:]]
        return self.lines

    def _series(self, series: Series) -> None:
        """Write the members of a loop."""
        count = self.made.texts[id(series.count)].text
        self.lines.append(f"        for i in range({count}):")
        number = f"i + {series.first}" if series.first else "i"
        for stem, member in zip(series.stems, series.items, strict=True):
            if isinstance(member, Chain) and not is_numbered(member):
                self.lines.append("            chain = nn.Sequential()")
                before = len(self.lines)
                self._named_chain("chain", member)
                self.lines[before:] = [f"    {line}" for line in self.lines[before:]]
                self.lines.append(f'            self.add_module(f"{stem}{{{number}}}", chain)')
                continue
            doc = self._doc(self.item(member))
            self.lines += lines(call("self.add_module", [f'f"{stem}{{{number}}}"', doc]), 3)

    def _replaced(self, name: str, member: Member, condition: str) -> None:
        """Write a member that does nothing in the instances that lack it."""
        doc = self._doc(self.item(member))
        short = f"{flat(doc)} if {condition} else nn.Identity()"
        if name.isidentifier() and len(short) + len(name) + 16 <= WIDTH and not isinstance(member, Chain):
            self.lines.append(f"        self.{name} = {short}")
            return
        self.lines.append(f"        if {condition}:")
        before = len(self.lines)
        self._member(name, member)
        self.lines[before:] = [f"    {line}" for line in self.lines[before:]]
        self.lines.append("        else:")
        nothing = f"self.{name} = nn.Identity()" if name.isidentifier() else f'self.add_module("{name}", nn.Identity())'
        self.lines.append(f"            {nothing}")

    def _member(self, name: str, member: Member) -> None:
        plain = name.isidentifier()
        before = f"self.{name} = "
        match member:
            case Weight():
                self._weight(name, member)
            case Chain() if is_numbered(member):
                if plain:
                    self._sequence(f"self.{name} = nn.Sequential(", member)
                else:
                    self._sequence("nn.Sequential(", member, name)
            case Chain():
                target = f"self.{name}" if plain else "chain"
                self.lines.append(f"        {target} = nn.Sequential()")
                self._named_chain(target, member)
                if not plain:
                    self.lines.append(f'        self.add_module("{name}", chain)')
            case New() | Child():
                doc = self._doc(self.item(member))
                self.lines += lines(doc, 2, before) if plain else lines(call("self.add_module", [f'"{name}"', doc]), 2)

    def _weight(self, name: str, member: Weight) -> None:
        shape = self.made.texts[id(member.shape)].text.removeprefix("(").removesuffix(")").removesuffix(",")
        shape = f"*{shape}" if shape.isidentifier() else shape or "()"
        start = member.start
        filled = {"nn.init.zeros_({})": "zeros", "nn.init.ones_({})": "ones"}.get(start, "empty")
        made = f"nn.Parameter(torch.{filled}({shape}))"
        self.lines.append(f"        self.{name} = {made}" if name.isidentifier() else f'        self.register_parameter("{name}", {made})')
        if start and filled == "empty":
            target = f"self.{name}" if name.isidentifier() else f'self.get_parameter("{name}")'
            self.lines.append("        " + start.format(target))

    # ---- items

    def item(self, member: Member) -> Item:
        """Return a member as a call of its class with arguments as text; a nested sequence is one item."""
        if isinstance(member, New):
            name = self.made.texts[id(member.target)].text
            signature = MODULES.get(name, Signature())
            given = {key: self.made.texts[id(leaf)].text for key, leaf in member.args}
            args = [("", given.pop(key), key) for key in signature.first if key in given]
            defaults = signature.defaults or {}
            args += [(key, text, key) for key, text in given.items() if key not in defaults or text != literal(defaults[key]).text]
            return Item(called(name, self.helpers), tuple(args))
        if isinstance(member, Child):
            return self._instance(member.key)
        assert isinstance(member, Chain)
        return Item("nn.Sequential", (), tuple(self._items(member)))

    def _instance(self, key: str) -> Item:
        child = self.classes.of[key]
        unit = self.classes.units.found[key]
        args: list[tuple[str, str, str]] = []
        for argument in child.arguments:
            text = self.made.texts[id(unit.args[argument.name])].text
            if argument.default and text == argument.default:
                continue
            keyword = bool(argument.default) or not _is_clear(argument, child) or any(key for key, _, _ in args)
            args.append((argument.name if keyword else "", text, argument.name))
        return Item(child.name, tuple(args))

    def _doc(self, item: Item) -> Doc:
        if item.inner:
            docs, comments = [], []
            for inner in item.inner:
                docs.append(self._doc(inner))
                comments.append(inner.comment)
            return Group(f"{item.head}(", tuple(docs), ")", tuple(comments))
        return call(item.head, [named(key, _literal(text)) if key else _literal(text) for key, text, _ in item.args])

    def _items(self, chain: Chain) -> list[Item]:
        """Return the members of a numbered sequence; a module that does nothing takes the place of a missing number."""
        items: list[Item] = []
        for name, member in chain.items:
            while len(items) < int(name):
                items.append(Item("nn.Identity", (), (), KEEPS))
            items.append(self.item(member))
        return items

    # ---- sequences

    def _sequence(self, opening: str, chain: Chain, name: str = "") -> None:
        if self.made.first.chain is chain and any(self.made.condition("member", place) for place in range(len(chain.items))):
            self._optional_items(chain)
            self.lines.append(f'        self.add_module("{name}", nn.Sequential(*layers))' if name else f"        {opening}*layers)")
            return
        parts = folded(self._items(chain), self.made.arguments_by_name)
        if any(isinstance(part, Loop) and one_line(part) is None for part in parts):
            self.lines.append(DECLARED)
            self._statements(parts, 2)
            self.lines.append(f'        self.add_module("{name}", nn.Sequential(*layers))' if name else f"        {opening}*layers)")
            return
        docs: list[Doc] = []
        comments = []
        for part in parts:
            docs.append(one_line(part) or "" if isinstance(part, Loop) else self._doc(part))
            comments.append("" if isinstance(part, Loop) else part.comment)
        made = Group(opening, tuple(docs), ")", tuple(comments))
        self.lines += lines(call("self.add_module", [f'"{name}"', made]) if name else made, 2)

    def _optional_items(self, chain: Chain) -> None:
        """Write the members of a sequence some of which only some instances have."""
        self.lines.append(DECLARED)
        place = 0
        while place < len(chain.items):
            present = self.made.presence("member", place)
            end = place
            while end < len(chain.items) and self.made.presence("member", end) == present:
                end += 1
            condition = self.made.condition("member", place)
            if condition is not None:
                self.lines.append(f"        if {condition.text}:")
            self._statements([self.item(member) for _, member in chain.items[place:end]], 3 if condition is not None else 2)
            place = end

    def _statements(self, parts: Sequence[Item | Loop], depth: int) -> None:
        waiting: list[Item] = []

        def flush() -> None:
            docs, comments = tuple(map(self._doc, waiting)), tuple(item.comment for item in waiting)
            if waiting and self.lines[-1] == DECLARED:
                self.lines[-1:] = lines(Group("[", docs, "]", comments), depth, DECLARED.strip().removesuffix("[]"))
            elif len(waiting) == 1:
                self.lines.extend(lines(Group("layers.append(", docs, ")", comments), depth))
            elif waiting:
                self.lines.extend(lines(Group("[", docs, "]", comments), depth, "layers += "))
            waiting.clear()

        for part in parts:
            if isinstance(part, Item):
                waiting.append(part)
                continue
            flush()
            head, values = part.header()
            self.lines += lines(values, depth, f"for {head} in ", ":")
            self._statements(part.body, depth + 1)
        flush()

    def _named_chain(self, target: str, chain: Chain) -> None:
        """Add members with names to a sequence: one by one, or in a loop over numbered names."""
        rows: list[tuple[str, Item | Chain]] = []
        for label, member in chain.items:
            rows.append((label, member if isinstance(member, Chain) else self.item(member)))
        place = 0
        while place < len(rows):
            end = _numbered_run(rows, place)
            label, item = rows[place]
            if end - place >= 3 and isinstance(item, Item):
                stem, number = re.fullmatch(r"(.*?)(\d+)", label).groups()  # type: ignore[union-attr]
                loop = folded([row for _, row in rows[place:end] if isinstance(row, Item)], self.made.arguments_by_name)
                if len(loop) == 1 and isinstance(loop[0], Loop) and len(loop[0].body) == 1:
                    self._counted(target, stem, int(number), loop[0])
                    place = end
                    continue
            doc = self._doc(item if isinstance(item, Item) else Item("nn.Sequential", (), tuple(self._items(item))))
            self.lines += lines(call(f"{target}.add_module", [f'"{label}"', doc]), 2)
            place += 1

    def _counted(self, target: str, stem: str, first: int, loop: Loop) -> None:
        body = loop.body[0]
        assert isinstance(body, Item)
        if loop.names:
            head, values = loop.header()
            head = f"({head})" if len(loop.names) > 1 else head
            start = f", start={first}" if first else ""
            if isinstance(values, str):
                self.lines.append(f"        for i, {head} in enumerate({values}{start}):")
            else:
                extra = (f"start={first}",) if first else ()
                self.lines += lines(Group("enumerate(", (values, *extra), ")"), 2, f"for i, {head} in ", ":")
        else:
            self.lines.append(
                f"        for i in range({first}, {first + loop.count}):" if first else f"        for i in range({loop.count}):"
            )
        self.lines += lines(call(f"{target}.add_module", [f'f"{stem}{{i}}"', self._doc(body)]), 3)


def _literal(text: str) -> Doc:
    """Return a long list of lists as a document with a line for each."""
    if len(text) < 80 or text[0] not in "[(":
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return Group(text[0], tuple(literal(item).text for item in value), text[-1])


def _numbered_run(rows: Sequence[tuple[str, Any]], start: int) -> int:
    """Return the end of a run of names that count up from that of a row."""
    found = re.fullmatch(r"(.*?)(0|[1-9]\d*)", rows[start][0])
    if found is None:
        return start + 1
    stem, number = found[1], int(found[2])
    end = start
    while end < len(rows) and rows[end][0] == f"{stem}{number + end - start}" and isinstance(rows[end][1], Item):
        end += 1
    return max(end, start + 1)


def _is_clear(argument: Argument, child: Class) -> bool:
    """Return whether an argument needs no name where a class is called: the first three, unless they are yes or no."""
    place = child.arguments.index(argument)
    return place < 8 and not all(isinstance(value, bool) for value in argument.values)
