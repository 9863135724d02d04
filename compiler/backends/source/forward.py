"""The forward of a class: statements whose values are variables of Python, or parts of the expression that takes them."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from archc.compiler.backends.source.calls import Calls, Text
from archc.compiler.backends.source.classes import Class
from archc.compiler.backends.source.expressions import CHOICE, literal
from archc.compiler.backends.source.layout import INDENT, Doc, Group, flat, lines
from archc.compiler.backends.source.merging import passed_on
from archc.compiler.backends.source.parts import Do, Leaf, Weight, refs
from archc.compiler.backends.source.series import CARRIED, INNER, Series, Turns

LONG = 96  # characters of an expression, from which on its parts are statements of their own
UNFIT = frozenset({*keyword.kwlist, *dir(builtins), "self", "torch", "nn", "F", "Tensor", "gelu"})  # no names of variables
SHORT = 48  # and up to which the last line may hold two layers
LETTERS = ("x", "y", "z", "u", "v", "w", "a", "b", "c", "d", "e", "f", "g", "h")


class Forward(Calls):
    """Writes the statements of one class. `results` are the outputs of a network by name, of evaluation and of training; None elsewhere."""

    def __init__(
        self, made: Class, takes: Sequence[str], results: tuple[Mapping[str, int], Mapping[str, int]] | None, body: Sequence[Any] = ()
    ) -> None:
        super().__init__(made)
        self.unit, self.results = made.first, results
        self.body: Sequence[Any] = body or self.unit.body
        self.shapes = made.shapes
        self.inner = bool(body)
        self.names = {-1 - place: name for place, name in enumerate(takes)}
        self.shape: dict[int, str] = {}
        self.uses, self.last = self._counted()
        self.depth = 2
        self.now = 0
        self.lines: list[str] = []
        self.flags: dict[tuple[bool, ...], tuple[str, str]] = {}

    def _counted(self) -> tuple[dict[int, int], dict[int, int]]:
        uses: dict[int, int] = {}
        last: dict[int, int] = {}
        for place, do in enumerate(self.body):
            for number in refs(do.call) if isinstance(do, Do) else taken(do):
                uses[number] = uses.get(number, 0) + 1
                last[number] = place
        for number in self._returned():
            uses[number] = uses.get(number, 0) + 1
            last[number] = len(self.body)
        return uses, last

    def _returned(self) -> list[int]:
        if self.inner:
            return [self.body[-1].results[0]]
        if self.results is None:
            return [ref.number for ref in self.unit.returns]
        evaluation, training = self.results
        return [*evaluation.values(), *(training.values() if training != evaluation else ())]

    # ---- statements

    def write(self) -> list[str]:
        """Return the lines of the body."""
        place = 0
        while place < len(self.body):
            if isinstance(self.body[place], Turns):
                self._turns(place)
                place += 1
            elif self.body[place].training_only:
                end = place
                while end < len(self.body) and self.body[end].training_only:
                    end += 1
                place = self._trained(place, end)
            elif self._is_optional(place):
                place = self._optional(place)
            else:
                self._do(place)
                place += 1
        self._finish()
        return self.lines

    def _trained(self, place: int, end: int) -> int:
        self._flush()
        self.lines.append("        if self.training:")
        self.depth = 3
        for number in range(place, end):
            self._do(number)
        if end == len(self.body) and self.results is not None and self.results[0] != self.results[1]:
            self._return(self.results[1])
        else:
            self._flush()
        self.depth = 2
        return end

    def _turns(self, place: int) -> None:
        """Write a loop."""
        loop: Any = self.body[place]
        self.now = place
        self._flush()
        start, result = loop.start.number, loop.results[0]
        name = self.names[start]
        if self.last.get(start, 0) > place:
            name = self._variable(result, "", (), place, [name])
            self.lines.append(f"{INDENT * self.depth}{name} = {self.names[start]}")
        series: Any = next(member for _, member in self.unit.members if isinstance(member, Series))
        called = {stem: _singular(stem) for stem in series.stems}
        whole = len(series.stems) == 1 and all(isinstance(member, Series | Weight) for _, member in self.unit.members)
        if whole:
            self.lines.append(f"{INDENT * self.depth}for {called[series.stems[0]]} in self.children():")
        else:
            self.lines.append(f"{INDENT * self.depth}for i in range({self._text(loop.count).text}):")
            number = f"i + {series.first}" if series.first else "i"
            for stem, variable in called.items():
                self.lines.append(f'{INDENT * (self.depth + 1)}{variable} = self.get_submodule(f"{stem}{{{number}}}")')
        inner = Forward(self.made, (), None, loop.body)
        inner.names = {**self.names, CARRIED: name}
        inner.last |= dict.fromkeys(self.names, 10**6)
        inner.depth, inner.called, inner.shapes = self.depth + 1, called, [("",)] * len(loop.body)
        for at in range(len(loop.body)):
            inner._do(at)
        inner.now = len(loop.body)
        end = loop.body[-1].results[0]
        doc = inner.pending.pop(end).doc if end in inner.pending and len(inner.pending) == 1 else None
        inner._flush()
        self.lines += [*inner.lines, *lines(doc if doc is not None else inner.names[end], inner.depth, f"{name} = ")]
        self.kept |= inner.kept
        self.helpers |= inner.helpers
        self.names[result] = name
        shape = self.shapes[place][0]
        if shape:
            self.lines[-1] += f"  # {shape} after the last"

    def _is_optional(self, place: int) -> bool:
        return self.made.condition("statement", place) is not None and not self.made.stands_in(place)

    def _optional(self, place: int) -> int:
        """Write the statements that only some instances have; return the place after them."""
        present = self.made.presence("statement", place)
        end = place
        while end < len(self.body) and self.made.presence("statement", end) == present and not self.made.stands_in(end):
            end += 1
        flag = self._flag(place)
        self.now = place
        self._flush()
        passed = passed_on(self.body[place])
        result = self.body[end - 1].results[0]
        if end - place == 1:
            text = self._call(self.body[place].call)
            self.shape[result] = ""
            both = Text(f"{flat(text.doc)} if {flag} else {self.names[passed]}", CHOICE, True, frozenset(refs(self.body[place].call)))
            if self.uses.get(result) == 1 and len(flat(both.doc)) < LONG:
                self.pending[result] = both
            else:
                self._assign(self.body[place], both, place)
            return end
        name = self.names[passed]
        if self.last.get(passed, 0) >= end:
            self.names[result] = self._variable(result, "", (), place, [name])
            self.lines.append(f"        {self.names[result]} = {name}")
            name = self.names[result]
        self.lines.append(f"        if {flag}:")
        self.depth += 1
        for number in range(place, end):
            self._do(number)
        self._flush()
        if self.names[result] != name:
            last = self.lines.pop()
            head = f"{self.names[result]} = "
            if not last.lstrip().startswith(head):
                self.lines += [last, f"            {name} = {self.names[result]}"]
            else:
                self.lines.append(last.replace(head, f"{name} = ", 1))
            self.names[result] = name
        self.depth -= 1
        return end

    def _flag(self, place: int) -> str:
        """Return what the forward asks before an optional statement: an attribute with a condition on the arguments."""
        condition = self.made.condition("statement", place)
        assert condition is not None
        if condition.text in self.made.arguments_by_name:
            return self._kept(condition).text
        present = self.made.presence("statement", place)
        if present not in self.flags:
            call = self.body[place].call.target
            name = self._text(call).text.rpartition(".")[2] if isinstance(call, Leaf) else call.path[-1]
            stem = {"add": "shortcut", "mul": "gated"}.get(name, f"has_{name}")
            while stem in {member for member, _ in self.unit.members} or stem in {flag for flag, _ in self.flags.values()}:
                stem = f"has_{stem}"
            self.flags[present] = (stem, condition.text)
        return f"self.{self.flags[present][0]}"

    def _do(self, place: int) -> None:
        do = self.body[place]
        self.now = place
        for number, shape in zip(do.results, self.shapes[place], strict=True):
            self.shape[number] = shape
        taken = [number for number in refs(do.call) if number in self.pending]
        order = list(self.pending)
        if taken != order[len(order) - len(taken) :] or not self._fits(do, taken):
            self._flush()
            taken = []
        text = self._call(do.call)
        text.leads = do.leads or any(self.pending[number].leads for number in taken)
        text.reads = frozenset(refs(do.call)).difference(taken).union(*(self.pending[number].reads for number in taken))
        for number in taken:
            del self.pending[number]
        number = do.results[0]
        if len(do.results) == 1 and self.uses.get(number) == 1 and self._may_wait(place, number):
            self.pending[number] = text
            return
        self._assign(do, text, place)

    def _fits(self, do: Do, taken: Sequence[int]) -> bool:
        if not taken:
            return True
        length = sum(len(flat(self.pending[number].doc)) for number in taken) + len(flat(self._call(do.call, sketch=True).doc))
        if do.leads and any(self.pending[number].leads for number in taken):
            return length <= SHORT and do is self.body[-1]
        return length <= LONG

    def _may_wait(self, place: int, number: int) -> bool:
        """Return whether a value may be written where it is used: not across the beginning or the end of what only training runs."""
        end = self.last[number]
        kinds = {do.training_only for do in self.body[place : end + 1]}
        return len(kinds) == 1

    def _assign(self, do: Do, text: Text, place: int) -> None:
        if not any(self.uses.get(number) for number in do.results):
            self._flush(text.reads)
            self.lines += lines(text.doc, self.depth)
            return
        self._flush(text.reads)
        names: list[str] = []
        for number in do.results:
            label = do.label if len(do.results) == 1 else ""
            names.append(self._variable(number, label, text.reads, place + 1, names))
        self.names.update(zip(do.results, names, strict=True))
        comment = ", ".join(shape for number in do.results if (shape := self.shape.get(number)))
        self.lines += lines(text.doc, self.depth, f"{', '.join(names)} = ", "", comment)

    def _flush(self, reads: Iterable[int] = ()) -> None:
        """Assign what waits to variables, in order; `reads` are values that must keep theirs."""
        while self.pending:
            number, text = next(iter(self.pending.items()))
            del self.pending[number]
            label = next(do.label for do in self.body if number in do.results)
            waiting = frozenset(reads).union(*(other.reads for other in self.pending.values()))
            kept = [self.names[value] for value in waiting if value in self.names]
            self.names[number] = self._variable(number, label, text.reads, self.now, kept)
            self.lines += lines(text.doc, self.depth, f"{self.names[number]} = ", "", self.shape.get(number, ""))

    def _variable(self, number: int, label: str, reads: Iterable[int], place: int, kept: Sequence[str]) -> str:
        """Return the name of a variable: the label of a value that is used later, that of an operand that ends here, or a free letter.

        Names of values that statements from `place` on take are not free, and neither are the `kept` ones.
        """
        live = {name for value, name in self.names.items() if self.last.get(value, -1) >= place} | set(kept)
        apart = self.uses.get(number, 0) > 1 or self.last.get(number, 0) > self.now + 1
        if apart and label.isidentifier() and label not in live and label not in UNFIT:
            return label
        ending = [self.names[value] for value in sorted(reads, reverse=True) if value in self.names]
        letters = [name for name in ending if name not in live and name in LETTERS]
        return next((name for name in (*letters, *LETTERS) if name not in live), f"x{number}")

    def _finish(self) -> None:
        self.now = len(self.body)
        if self.results is None:
            values = self._returned()
            if len(values) == 1 and values[0] in self.pending and len(self.pending) == 1:
                self._returning(self.pending.pop(values[0]).doc, self.shape.get(values[0], ""))
                return
            self._flush()
            self._returning(", ".join(self.names[number] for number in values))
            return
        evaluation, training = self.results
        if evaluation != training and not (self.body and self.body[-1].training_only):
            self._flush()
            self.lines.append("        if self.training:")
            self.depth = 3
            self._return(training)
            self.depth = 2
        self._return(evaluation)

    def _return(self, outputs: Mapping[str, int]) -> None:
        waiting = list(self.pending)
        numbers = list(outputs.values())
        if waiting != numbers[len(numbers) - len(waiting) :] or (
            len(numbers) > 1 and sum(len(flat(text.doc)) for text in self.pending.values()) > LONG
        ):
            self._flush()
        docs = [self.pending.pop(number).doc if number in self.pending else self.names[number] for number in numbers]
        if len(outputs) == 1:
            self._returning(docs[0], self.shape.get(numbers[0], ""))
            return
        rows = [
            Group(f"{literal(name).text}: ", (doc,), "") if isinstance(doc, Group) else f"{literal(name).text}: {doc}"
            for name, doc in zip(outputs, docs, strict=True)
        ]
        self._returning(Group("{", tuple(rows), "}"))

    def _returning(self, doc: Doc, comment: str = "") -> None:
        self.lines += lines(doc, self.depth, "return ", "", comment)


def taken(loop: Any) -> Iterator[int]:
    """Yield the values that a loop takes from outside."""
    yield loop.start.number
    for do in loop.body:
        yield from (number for number in refs(do.call) if CARRIED < number < INNER)


def _singular(stem: str) -> str:
    """Return the variable for a member of a loop."""
    name = stem.rstrip("_-.")
    return name if name.isidentifier() and name not in UNFIT and name not in LETTERS else "layer"
