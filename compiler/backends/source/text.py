"""A lowered program as the text of a file of Python that depends on PyTorch alone."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from archc.compiler.backends.source.calls import attribute
from archc.compiler.backends.source.classes import Class, Classes
from archc.compiler.backends.source.constructor import Constructor
from archc.compiler.backends.source.family import Family
from archc.compiler.backends.source.forward import LETTERS, UNFIT, Forward
from archc.compiler.backends.source.helpers import copied
from archc.compiler.backends.source.initial import initialization
from archc.compiler.backends.source.layout import WIDTH, Group, lines
from archc.compiler.backends.source.parts import Unit
from archc.compiler.backends.source.units import Units
from archc.compiler.lowering.program import LoweredProgram, Step
from archc.dsl.source import Span

ALLOWED = re.compile(r"\s*\(?allow: W\d{4}(, W\d{4})*\)?")  # a warning that the file silences
SHOWN = 9  # lines of a block whose text its class shows


class Writer:
    """Writes the file of one network, from its programs for training and for inference."""

    def __init__(self, training: LoweredProgram, inference: LoweredProgram, plain: bool = False, family: Family | None = None) -> None:
        self.training, self.inference = training, inference
        found = family.classes if family is not None else None
        self.classes = found if found is not None else Classes(Units(training), plain)
        self.units = self.classes.units
        self.initial = initialization(training.parts)
        self.helpers: set[str] = {"Spectral"} if self.initial.settles else set()

    def write(self) -> str:
        """Return the text."""
        bodies = [self._class(made) for made in self.classes.ordered]
        parts = ["\n".join(body) for body in bodies]
        if function := self.initial.function():
            parts.append("\n".join(function))
        closing = self._closing()
        constants, helpers, imports = copied(self.helpers)
        code = "\n\n\n".join([*helpers, *parts])
        head = _docstring(self._head(code), "")
        blocks = ["\n".join(head), *self._imports("\n".join([*constants, code]), imports)]
        text = "\n\n".join(blocks)
        if constants:
            text += "\n\n" + "\n".join(constants)
        return f"{text}\n\n\n{code}\n" + (f"\n\n{closing}" if closing else "")

    def _closing(self) -> str:
        """Return a comment on loops of the file that are written turn by turn; "" where there are none."""
        runs: list[str] = []
        for made in self.classes.ordered:
            for first, last in unrolled(made.first.members) if made.first.chain is None else ():
                runs.append(f"`{first}` to `{last}` of {made.name}")
        rows = textwrap.wrap(f"Loops that are written turn by turn: {', '.join(runs)}.", 116) if runs else []
        return "".join(f"# {row}\n" for row in rows)

    def _head(self, code: str) -> list[str]:
        """Return the title, and, where the file has shapes that arguments change, what these shapes are."""
        graph = self.training.graph
        title = graph.title or graph.name
        title = title[:1].upper() + title[1:] + ("" if title.endswith(".") else ".")
        if not self.classes.ordered[-1].arguments or not re.search(r"  # \d+(x|, |$)", code, re.M):
            return [title]
        return textwrap.wrap(f"{title} Shapes: those of the defaults.", WIDTH - 6)

    def _imports(self, code: str, wanted: set[str]) -> list[str]:
        """Return the imports of the names in a text: those of the standard library, then those of PyTorch."""
        words = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", re.sub(r'"""(.|\n)*?"""|"[^"\n]*"', "", code)))
        standard = sorted(line for line in wanted if "torch" not in line and line.split()[-1] in words)
        if "math" in words and "import math" not in standard:
            standard = ["import math", *standard]
        if "pairwise" in words:
            standard = sorted({*standard, "from itertools import pairwise"})
        if "Callable" in words:
            standard = sorted({*standard, "from collections.abc import Callable"})
        if "Any" in words:
            standard = sorted({*standard, "from typing import Any"})
        own = ["import torch"] if "torch" in words else []
        own += ["import torch.nn.functional as F"] if "F" in words else []
        names = [name for name in ("Tensor", "nn") if name in words]
        own += [f"from torch import {', '.join(names)}"] if names else []
        merged: dict[str, list[str]] = {}
        plain = []
        for line in standard:
            module, _, name = line.partition(" import ")
            if name:
                merged.setdefault(module, []).append(name)
            else:
                plain.append(line)
        standard = [*plain, *(f"{module} import {', '.join(sorted(set(names)))}" for module, names in sorted(merged.items()))]
        return ["\n".join(group) for group in (standard, own) if group]

    # ---- classes

    def _class(self, made: Class) -> list[str]:
        unit = made.first
        is_network = unit.key == ""
        base = "nn.Sequential" if unit.chain is not None else "nn.Module"
        constructor = Constructor(made, self.classes)
        body = constructor.write()
        self.helpers |= constructor.helpers
        forward = self._forward(made) if unit.chain is None and not unit.loose else None
        result = [f"class {made.name}({base}):", *_docstring(self._said(made), "    ")]
        annotated = [f"{a.name}: {a.annotation}" + (f" = {a.default}" if a.default else "") for a in made.arguments]
        result += ["", *lines(Group("def __init__(", ("self", *annotated), ")"), 1, "", " -> None:")]
        result += body
        if forward is not None:
            kept = [argument.name for argument in made.arguments if argument.name in forward[1].kept]
            result += [f"        self.{attribute(made, name)} = {name}" for name in kept]
            result += [f"        self.{flag} = {condition}" for flag, condition in forward[1].flags.values()]
        if is_network:
            result += self.initial.constructor()
        if forward is not None:
            result += ["", *forward[0]]
        return result

    def _forward(self, made: Class) -> tuple[list[str], Forward]:
        unit = made.first
        if unit.key == "":
            takes = self._input_names()
            outputs = self._outputs(unit)
            several = [len(found) > 1 for found in outputs]
            kind = "dict[str, Tensor]" if all(several) else "Tensor | dict[str, Tensor]" if any(several) else "Tensor"
        else:
            takes, outputs = self._names(made), None
            kind = "Tensor" if len(unit.returns) == 1 else f"tuple[{', '.join(['Tensor'] * len(unit.returns))}]"
        forward = Forward(made, takes, outputs)
        body = forward.write()
        self.helpers |= forward.helpers
        signature = Group("def forward(", ("self", *(f"{name}: Tensor" for name in takes)), ")")
        return [*lines(signature, 1, "", f" -> {kind}:"), *body], forward

    def _input_names(self) -> list[str]:
        names = [re.sub(r"\W", "_", name) for name in self.training.inputs]
        return ["x"] if names == ["input"] else [f"{name}_" if name in UNFIT else name for name in names]

    def _names(self, made: Class) -> list[str]:
        """Return names of what enters a class: those of the parameters of its block that hold tensors, of inputs, and letters."""
        count = len(made.first.takes)
        names = list(LETTERS[:count]) if count <= 3 else [f"x{number}" for number in range(1, count + 1)]
        units = [unit for unit in made.units if not unit.variant]
        for place in range(count) if count > 1 else ():
            found = {_tensor_name(unit, unit.takes[place], self.training.inputs) for unit in units}
            name = found.pop() if len(found) == 1 else ""
            if name.isidentifier() and name not in UNFIT and name not in names:
                names[place] = name
        return names

    def _outputs(self, unit: Unit) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Return the numbers of the values that a network returns, by name, in evaluation and in training."""
        numbers = self.units.numbers
        return tuple({name: numbers[step] for name, step in program.outputs.items()} for program in (self.inference, self.training))  # type: ignore[return-value]

    # ---- docstrings

    def _said(self, made: Class) -> list[str]:
        unit = made.first
        if unit.key == "":
            first = next(step for step in self.training.steps if step.kind == "input")
            said = _comment_at_top(first)
            return said or [f"The network `{self.training.name}`."]
        if unit.frame is not None and unit.frame.block is not None:
            return _block_text(unit.frame.block.span)
        label = unit.key.rpartition(".")[2]
        around = unit.key.rpartition(".")[0]
        within = self.classes.of.get(around)
        where = f" of {within.name}" if within is not None and around else ""
        return [f"The part `{label}`{where}."]


def _tensor_name(unit: Unit, value: str, inputs: Sequence[str]) -> str:
    """Return what the text calls a value that enters a unit: the parameter that holds it, or the input; "" for another."""
    if unit.frame is None or unit.frame.block is None:
        return value if value in inputs else ""
    held = [name for name, given in unit.frame.values.items() if hasattr(given, "shape") and getattr(given, "name", "") == value]
    return held[0] if len(held) == 1 else ""


def unrolled(members: Sequence[tuple[str, object]]) -> Iterator[tuple[str, str]]:
    """Yield the first and the last name of each run of members that one place of the text makes under numbers that count up."""
    place = 0
    rows = [(name, re.fullmatch(r"(.*?)(\d+)", name), getattr(member, "place", -1)) for name, member in members]
    while place < len(rows):
        end = place + 1
        first = rows[place][1]
        while end < len(rows) and first is not None and rows[place][2] != -1:
            _, found, at = rows[end]
            if found is None or at != rows[place][2] or found[1] != first[1] or int(found[2]) != int(first[2]) + end - place:
                break
            end += 1
        if end - place >= 3:
            yield rows[place][0], rows[end - 1][0]
        place = end


def _docstring(said: Sequence[str], indent: str) -> list[str]:
    rows = [line.replace("\\", "\\\\").replace('"""', "'''").rstrip() for line in said]
    end = '"""'
    if len(rows) == 1:
        return [f'{indent}"""{rows[0]}' + (" " if rows[0].endswith('"') else "") + end]
    if "" not in rows and len(rows[-1]) < 110 and not rows[-1].endswith('"'):  # a paragraph
        rows[-1] += end
        end = ""
    return [f'{indent}"""{rows[0]}', *(f"{indent}{row}" if row else "" for row in rows[1:]), *([f"{indent}{end}"] if end else [])]


def _comment_above(source_lines: Sequence[str], line: int) -> list[str]:
    """Return the comment that ends right above a line, without its signs."""
    start = line - 1
    while start > 0 and source_lines[start - 1].startswith("#"):
        start -= 1
    return [ALLOWED.sub("", text.removeprefix("#").strip()) for text in source_lines[start : line - 1]]


def _comment_at_top(step: Step) -> list[str]:
    """Return the comment at the beginning of the file of a step."""
    rows = step.span.source.text.split("\n")
    end = 0
    while end < len(rows) and rows[end].startswith("#"):
        end += 1
    return [said for row in rows[:end] if (said := ALLOWED.sub("", row.removeprefix("#").strip()))]


def _block_text(span: Span) -> list[str]:
    """Return the comment above a block and its text; the place of a long one."""
    rows = span.source.text.split("\n")
    said = _comment_above(rows, span.line)
    text = span.text.split("\n")
    place = f"{span.source.label}, line {span.line}"
    shown = text if len(text) <= SHOWN else [f"`{text[0].rstrip(' {[')}` of {place}."]
    if not said:
        named = text[0].removeprefix("block ").removeprefix("share ").rstrip(" {[")
        return [f"`{named}` of {place}.", *(["", *text] if len(text) <= SHOWN else [])] if len(text) > 1 else text
    return [*said, *([""] if len(text) <= SHOWN else []), *shown]


def written(training: LoweredProgram, inference: LoweredProgram, plain: bool = False, family: Family | None = None) -> str:
    """Return a network as Python. `plain`: a class for each scope, and its statements one by one. `family`: the parameters as arguments."""
    return Writer(training, inference, plain, family).write()
