"""Read protobuf's text format as plain data: https://protobuf.dev/reference/protobuf/textformat-spec/. No schema is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from lark import Lark, Token, Tree, UnexpectedInput

from archc.compiler.frontends.flat import CannotRead

MAX_DEPTH = 50  # of messages within messages; Caffe's have four
GRAMMAR = r"""
start: field*
field: NAME ":" _value _end? | NAME ":"? message _end?
_value: scalar | list
list: "[" [element ("," element)*] "]"
element: scalar | message
message: "{" field* "}" | "<" field* ">"
scalar: NUMBER | STRING+ | NAME
_end: "," | ";"
NAME: /[A-Za-z_][A-Za-z0-9_]*/
NUMBER: /[+-]?(0x[0-9a-fA-F]+|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?f?)|-(inf|nan)/
STRING: /"([^"\\\n]|\\.)*"|'([^'\\\n]|\\.)*'/
COMMENT: /#[^\n]*/
%import common.WS
%ignore WS
%ignore COMMENT
"""


@dataclass(frozen=True)
class Message:
    """A message: the values of each field in order. Values are numbers, texts, names (as text) and messages."""

    fields: Mapping[str, list[Any]]
    line: int

    def all(self, name: str) -> list[Any]:
        """Return the values of a field."""
        return self.fields.get(name, [])

    def get(self, name: str, default: Any = None) -> Any:
        """Return the last value of a field, which is the one that counts."""
        return self.fields[name][-1] if name in self.fields else default

    def wholes(self, name: str) -> list[int]:
        """Return the values of a field of whole numbers. Raises CannotRead for any other."""
        for value in self.all(name):
            if isinstance(value, bool) or not isinstance(value, int):
                raise CannotRead(f"`{name}` is a whole number, not {_said(value)}", "prototxt", f"line {self.line}")
        return list(self.all(name))

    def message(self, name: str) -> Message:
        """Return a message in this one; an empty one where there is none."""
        found = self.get(name)
        return found if isinstance(found, Message) else Message({}, self.line)

    def messages(self, name: str) -> Iterator[Message]:
        """Yield the messages of a field."""
        yield from (value for value in self.all(name) if isinstance(value, Message))


def _said(value: Any) -> str:
    return "a message" if isinstance(value, Message) else str(value)[:40]


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", propagate_positions=True)


def parse(text: str) -> Message:
    """Return a text as a message. Raises CannotRead, with the line, for a text that is not of this format or nested too deeply."""
    depth = 0
    for bracket in re.finditer(r"[{}<>]", text):
        depth += 1 if bracket[0] in "{<" else -1
        if depth > MAX_DEPTH:
            line = text.count("\n", 0, bracket.start()) + 1
            raise CannotRead(f"messages are nested more than {MAX_DEPTH} deep", "prototxt", f"line {line}")
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        near = error.get_context(text, 20).split("\n")[0].strip()
        raise CannotRead(
            f"this is not protobuf's text format, near `{near[:60]}`", "prototxt", f"line {getattr(error, 'line', 0)}"
        ) from None
    except RecursionError:
        raise CannotRead("messages are nested too deeply") from None
    return _message(tree.children, 1)


def _message(children: list[Any], line: int) -> Message:
    fields: dict[str, list[Any]] = {}
    for field in children:
        name, value = field.children
        values = (
            [_value(element.children[0]) for element in value.children if element is not None] if value.data == "list" else [_value(value)]
        )
        fields.setdefault(str(name), []).extend(values)
    return Message(fields, line)


def _value(tree: Tree[Token]) -> Any:
    if tree.data == "message":
        return _message(tree.children, tree.meta.line if not tree.meta.empty else 0)
    first = tree.children[0]
    assert isinstance(first, Token)
    if first.type == "STRING":
        return "".join(str(part)[1:-1] for part in tree.children)
    if first.type == "NUMBER":
        try:
            return int(str(first), 0)
        except ValueError:  # a fraction, or digits after a zero
            return float(str(first).rstrip("f"))
    return {"true": True, "false": False}.get(str(first), str(first))
