"""The stages of the compiler as text: tree, graph, passes, lowered program. The GraphModule is in `back/test_compile.py`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import archc
from archc.compiler.driver import check
from archc.compiler.errors import UsageError
from archc.compiler.lowering import lowered
from archc.compiler.lowering.text import program_text
from archc.compiler.stages import stage_names, stages
from archc.dsl import ast
from archc.dsl.dump import EXPRESSIONS, dump
from archc.dsl.parser import parse
from archc.dsl.source import Source
from archc.tests.support import ARCHS, FILES, ROOT
from archc.tests.support.commands import archc as run

INLINE = (*EXPRESSIONS, ast.Arg, ast.Param, ast.Label, ast.Pattern)  # on the line of the node that has them
SMALL = ROOT / "docs/small.arch"


@pytest.mark.parametrize("path", ARCHS, ids=lambda path: path.stem)
def test_the_tree_has_a_line_for_every_node(path: Path) -> None:
    file = parse(Source(str(path), path.read_text(encoding="utf-8"), path.name)).file
    assert file is not None
    lines = dump(file).splitlines()
    shown = [node for node in ast.walk(file) if not isinstance(node, INLINE)]
    assert [line.split()[0] for line in lines] == [f"{node.span.line}:{node.span.column}" for node in shown]
    assert all(f" {type(node).__name__}" in line for node, line in zip(shown, lines, strict=True))


def test_the_tree_of_every_statement() -> None:
    text = """use "std/residual.arch"
arch all(n=2, ws=[8, 16]) "t"
input left: 3xHxW
let k = n + 1
default conv(pad=same)
block b(w, s=1) [ conv3-{w}/{s}; relu ]
share s { conv1-8 }
for (i, w) in [[1, 8]] { b(w) }
if k == 3 { relu } else { tanh }
a{k}: concat<@left | b(8); { sigmoid } | .> x2 => 19xHxW
output aux(when=training): @a3; fc-10
expect macs(a) <= 724M within 0.5%
"""
    file = parse(Source("t", text, "t")).file
    assert file is not None
    tree = dump(file)
    for part in (
        "Use path='std/residual.arch'",
        "Arch name=all params=[n=2, ws=[8, 16]] title=t",
        "Input name=left dims=[3, H, W]",
        "Let name=k value=n + 1",
        "Default word=conv args=[pad=same]",
        "Block name=b params=[w, s=1] numbered=True",
        "For pattern=(i, w) values=[[1, 8]]",
        "If condition=k == 3",
        "then: Item",
        "otherwise: Item",
        "Item label=a{k} count=2 claim=[19, H, W]",
        "branch 1: Item",
        "Item core=@left",
        "branch 3: Item",
        "Here",
        "Output name=aux args=[when=training]",
        "Expect measure=macs target=a relation='<=' value=724M within=0.5",
    ):
        assert part in tree


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_lowered_program_has_every_part_step_and_output(path: Path) -> None:
    program = lowered(check(path, mend=False).graph, "inference", 2)
    text = program_text(program)
    sections = re.split(r"^(parts|steps|outputs|weights)\n", text, flags=re.M)
    found = {name: body.splitlines() for name, body in zip(sections[1::2], sections[2::2], strict=True)}
    assert [line.partition(":")[0].strip() for line in found["parts"]] == list(program.parts)
    assert [line.partition(" = ")[0].strip() for line in found["steps"] if " = " in line] == [step.name for step in program.steps]
    assert [line.partition(" = ")[0].strip() for line in found["outputs"]] == list(program.outputs)
    assert [line.partition(" = ")[0].strip() for line in found.get("weights", [])] == list(program.recipes)
    assert not re.search(r"(Value|Trained|FunctionCall|Operand)\(", text)


def test_the_stages_of_a_level() -> None:
    assert stage_names(0) == ("parse", "elaborate", "drop_training", "lower", "torch")
    assert stage_names(3) == stage_names(2)
    report = check(SMALL)
    for level in (0, 1, 2):
        for name in stage_names(level)[:-1]:
            ((only, text),) = stages(report, level, name)
            assert (only, bool(text)) == (name, True)


def test_a_stage_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match=r"print_after is parse, elaborate, .* or all, not fold_batch_norms"):
        archc.load(SMALL).stages(print_after="fold_batch_norms")
    told = run("compile", str(SMALL), "--print-after", "fold_batch_norm", code=2).stderr
    assert "--print-after is parse, elaborate, drop_training, lower, torch or all, not fold_batch_norm" in told


def test_what_a_pass_returns_is_a_file() -> None:
    texts = archc.load(SMALL).stages(level=2, print_after="fold_batch_norm")
    again = archc.loads(texts["fold_batch_norm"])
    assert [node.op for node in again.graph].count("bn") == 0
    assert all(claim.held for claim in again.claims)
