"""What makes parsing quick changes nothing: Lark's trees and places are its own, and an edited text is cut as a new one."""

from __future__ import annotations

import random
from typing import Any

import pytest
from lark import Lark, Tree

from archc.compiler.ops import OPERATORS
from archc.dsl import parser
from archc.dsl.cutting import Cut
from archc.dsl.formatter import format_text
from archc.dsl.lalr import Parser
from archc.dsl.source import Source
from archc.tests.support import ARCHS, ROOT

SOME = [path for path in ARCHS if path.stem in ("lenet5", "unet", "wgan_gp_critic", "vit_b_16", "yolov3")]
CONSTRUCTS = """
input ids: 4x8
let a = (-2 + [1, 2][0] ** 2 * 3 // (1 if not (4 > 3) and yes else 2)) + ((in.c))
let b = [x for (x, (y)) in [[1, [2]]]][1:][:1]
use "std/residual.arch"
block f(w, g=relu) { x{w}-{1}: conv3x{w}-{2 * w}/2x2(pad=same, act=g) x{2}; .; @x{w}.c
} # a comment
if a > 2 { relu } else if a == 3K { tanh } else { concat<f(1) | for i in [1.5e3] | relu; bn> => 8xNx8 }
share s { [conv3-8; relu] }
output out (w=1): fc-10; relu
expect params(f.x) <= 3M within 5 %
"""


def places(tree: Any) -> list[object]:
    """Return the nodes of a tree with their offsets."""
    found: list[object] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Tree):
            found.append((node.data, node.meta.empty or (node.meta.start_pos, node.meta.end_pos)))
            waiting += node.children
        else:
            found.append((node, node and node.start_pos))
    return found


@pytest.fixture(scope="module")
def larks() -> Lark:
    """Lark's own parser, with all that it notes of places."""
    grammar = (ROOT / "dsl/grammar.lark").read_text(encoding="utf-8")

    ours = parser._lark()
    postlex = ours.options.postlex
    return Lark(
        grammar, parser="lalr", start=["file", "value", "size"], postlex=postlex, propagate_positions=True, cache=ours.options.cache
    )


@pytest.mark.parametrize(
    "text", [CONSTRUCTS, *(path.read_text(encoding="utf-8") for path in SOME)], ids=["constructs", *(p.stem for p in SOME)]
)
def test_trees_and_places_are_larks(larks: Lark, text: str) -> None:
    ours = parser._lark()
    assert isinstance(ours, Parser) and not isinstance(larks, Parser)
    assert places(ours.parse(text + "\n", start="file")) == places(larks.parse(text + "\n", start="file"))


def test_less_is_called_than_lark_calls(larks: Lark) -> None:
    """The rules that pass a child on are found, whatever the version of Lark."""
    ours = parser._lark()
    assert sum(type(each).__name__ == "itemgetter" for each in ours._callbacks.values()) >= 20
    assert not [each for each in ours._callbacks.values() if type(each).__name__ == "PropagatePositions"]


def test_an_edited_text_is_cut_as_a_new_one() -> None:
    rng = random.Random(5)
    words = [
        "\n",
        ";",
        "{",
        "}",
        "(",
        ")",
        "<",
        ">",
        "# x",
        "\n=> 3",
        "\nelse {",
        " ",
        "relu",
        '"',
        "conv3-8\n",
        "if a > 3 {\n",
        "",
        "x" * 3000,
    ]
    for path in SOME[:3]:
        text = path.read_text(encoding="utf-8")
        cut = Cut("", []).changed(text)
        for _ in range(60):
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(words) + text[at + rng.choice([0, 0, 1, 5, 200]) :]
            cut = cut.changed(text)
            assert cut == Cut("", []).changed(text)
            pieces = cut.pieces()
            assert "".join(text[begin:end] for begin, end in pieces) == text


def test_formatting_parses_no_more_than_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once what is formatted already up to the case of operators, else twice, and once more where these are lowered."""
    parsed: list[str] = []
    tree = parser._tree
    monkeypatch.setattr(parser, "_tree", lambda text: (parsed.append(text), tree(text))[1])
    for text, times in (("input 3x8x8\nrelu\n", 1), ("input 3x8x8\nrelu \n", 2), ("input 3x8x8\nReLU\n", 1), ("input 3x8x8\nReLU \n", 3)):
        parsed.clear()
        assert format_text(Source("a.arch", text), OPERATORS) == "input 3x8x8\nrelu\n"
        assert len(parsed) == times
