"""What names in a text mean, without elaborating it; what is known of its places; and renaming, which is proved."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from archc.compiler.driver import check_text, completed, glance
from archc.compiler.elaborate.elaboration import Limits, Stopped
from archc.compiler.elaborate.loader import Loader
from archc.compiler.index.files import Indexes
from archc.compiler.index.legal import legal, numbers
from archc.compiler.index.places import Places
from archc.compiler.index.renaming import CannotRename, check_name, effect
from archc.compiler.index.resolve import index_of
from archc.compiler.index.symbols import Index
from archc.compiler.report import Report
from archc.compiler.shapes.dim import unknown
from archc.dsl import ast
from archc.dsl.parser import Trees, parse
from archc.dsl.source import Source
from archc.dsl.trees import same
from archc.tests.support import ARCHS, ROOT

TEXT = """arch net(unit=plain, w=16)
input x: 3xHxW
let k = [1, 2]
block plain(out, s=1) { c: conv3-{out}/{s}(pad=1); relu }
for (i, n) in enumerate(k) with ys = [] { layer{i}: plain(n, s=2) x2; next ys = ys + [in] }
stem: { conv1: conv3-{w}; q: unit(8) }
concat<@stem.conv1 | for y in ys | @y>
@layer{0}.1.c; @layer1.0.c
conv3-{w * @stem.conv1.c}(act=relu, bias=no)
expect shape(stem.conv1) == 16xHxW
"""


def indexed(text: str) -> Index:
    source = Source("net.arch", text)
    tree = parse(source).file
    assert tree is not None
    return index_of(source, tree)


def meaning(index: Index, words: str, more: int = 0) -> tuple[str, str, int] | None:
    """The kind, the name and the line of what the name at some words means."""
    found = index.at(index.source.text.index(words) + more)
    return (found.symbol.kind, found.symbol.name, found.symbol.span.line) if found else None


@pytest.mark.parametrize(
    ("words", "more", "means"),
    [
        ("plain(n", 0, ("block", "plain", 4)),
        ("plain, w", 0, ("block", "plain", 4)),  # the header may name a block that comes later
        ("out}", 0, ("parameter", "out", 4)),
        ("s=2", 0, ("parameter", "s", 4)),
        ("n, s=2", 0, ("name of a loop", "n", 5)),
        ("ys + ", 0, ("state", "ys", 5)),
        ("ys | @y", 0, ("state", "ys", 5)),  # a variable after its loop
        ("@y>", 1, ("name of a loop", "y", 7)),
        ("unit(8)", 0, ("parameter", "unit", 1)),
        ("@stem.conv1 |", 1, ("label", "stem", 6)),
        ("@stem.conv1 |", 7, ("label", "conv1", 6)),
        ("@layer{0}.1.c", 1, ("label", "layer", 5)),
        ("@layer{0}.1.c", 12, ("label", "c", 4)),
        ("@layer1.0.c", 1, ("label", "layer", 5)),
        ("@layer1.0.c", 10, ("label", "c", 4)),
        ("stem.conv1) ==", 5, ("label", "conv1", 6)),
        ("HxW\nlet", 0, ("open size", "H", 2)),
        ("w * @", 0, ("parameter", "w", 1)),
    ],
)
def test_names_mean_what_elaboration_gives_them(words: str, more: int, means: tuple[str, str, int]) -> None:
    assert meaning(indexed(TEXT), words, more) == means


def test_words_of_options_are_no_variables() -> None:
    index = indexed("input 8x8x8\nlet relu = bn\nlet w = 4\nconv3-{w}(act=relu)\nconcat(axis=w)<. | .>\nrelu\n")
    assert meaning(index, "relu)") is None
    assert meaning(index, "axis=w", 5) is None
    assert meaning(index, "w}") == ("variable", "w", 3)
    assert meaning(index, "relu\n", 0) == ("variable", "relu", 2)  # as an item
    assert {(m.kind, m.name, m.of) for m in index.mentions} >= {
        ("operator", "relu", "conv"),
        ("word", "w", "concat"),
        ("option", "axis", "concat"),
    }


def test_a_name_is_bound_early() -> None:
    text = "input 8x8x8\nlet n = 1\nblock a(x) { conv3-{n * x} }\nif n > 0 { let n = 2; conv1-{n} }\nconv1-{n}\nlet m = n\n"
    index = indexed(text)
    assert meaning(index, "n * x") == ("variable", "n", 2)
    assert meaning(index, "n} }\nconv1") == ("variable", "n", 4)
    assert meaning(index, "n}\nlet m") == ("variable", "n", 2)
    assert set(index.visible(text.index("n * x"))) == {"a", "n", "x"}
    assert set(index.visible(len(text))) == {"a", "n", "m"}


def test_labels_are_not_seen_out_of_a_block() -> None:
    index = indexed("input 8x8x8\ntop: conv3-8(pad=1)\nblock a() { top: relu; add<@top | .> }\na()\n@top\n")
    assert meaning(index, "@top |", 1) == ("label", "top", 3)
    assert meaning(index, "@top\n", 1) == ("label", "top", 2)


def test_calls_and_used_files() -> None:
    text = 'use "std/residual.arch"\ninput 64x56x56\nblock two(w) { basic(w); basic(w) }\ntwo(64)\nbasic(64)\n'
    loader = Loader()
    index = Indexes(loader).of(loader.text("net.arch", text.encode(), Path()))
    assert index is not None
    assert [(c.symbol.name, c.caller.name if c.caller else "") for c in index.calls] == [
        *[("basic", "two")] * 2,
        ("two", ""),
        ("basic", ""),
    ]
    assert index.calls[0].symbol.span.source.name.endswith("std/residual.arch")
    assert index.uses[0][1].endswith("archs/std/residual.arch")


def names_are_found(path: Path) -> None:
    """Every item of a sound file means something, and where a name is written is that name."""
    loader = Loader()
    loaded = loader.open(path)
    index = Indexes(loader).of(loaded)
    assert index is not None and loaded.tree is not None
    starts = {o.span.start for o in index.occurrences} | {m.span.start for m in index.mentions}
    for node in ast.walk(loaded.tree):
        if isinstance(node, ast.Op):
            assert node.word_span.start in starts, node.word
    for each in index.occurrences:
        assert each.span.text == each.symbol.name
    for symbol in index.symbols:
        assert symbol.span.text == symbol.name or symbol.name == "input"


def test_every_name_is_found() -> None:
    for path in [*ARCHS[::12], *(ROOT / "archs/std").glob("r*.arch")]:
        names_are_found(path)


@pytest.mark.slow
def test_every_name_of_every_network_is_found() -> None:
    for path in ARCHS:
        names_are_found(path)


# ---- places


def seen(text: str, words: str) -> list[tuple[str, tuple[object, ...] | None, int]]:
    report = check_text(text, mend=False)
    assert report.tree is not None
    return [(each.scope, each.shape, len(each.nodes)) for each in Places(report, report.tree.span.source).at(text.index(words))]


def test_items_are_known_in_every_call() -> None:
    text = "input 3x32x32\nblock b(w, s=1) { c: conv3-{w}/{s}(pad=1, act=relu); @c }\nlayer: b(8) x2\nb(16, s=2)\n{ relu; . }\n"
    assert seen(text, "conv3-") == [("layer.0", (8, 32, 32), 2), ("layer.1", (8, 32, 32), 2), ("b1", (16, 16, 16), 2)]
    assert seen(text, "@c") == [("layer.0", (8, 32, 32), 0), ("layer.1", (8, 32, 32), 0), ("b1", (16, 16, 16), 0)]
    assert seen(text, "b(16") == [("", (16, 16, 16), 2)]
    assert seen(text, "layer:") == [("", (8, 32, 32), 4)]
    report = check_text(text, mend=False)
    assert report.tree is not None
    ends = Places(report, report.tree.span.source).at_line_ends()
    assert {line: {passed.shape for passed in row.values()} for line, row in ends.items()} == {
        1: {(3, 32, 32)},
        2: {(8, 32, 32), (16, 16, 16)},
        3: {(8, 32, 32)},
        4: {(16, 16, 16)},
        5: {(16, 16, 16)},
    }


def test_what_a_block_returns_is_not_what_it_makes_last() -> None:
    text = "input 3x8x8\nblock b() { a: conv3-4; c: conv3-5; @a }\nb()\n"
    assert seen(text, "b()\n")[0][1] == (4, 6, 6)


def test_legal_numbers_are_those_that_check() -> None:
    found = dict(legal("conv3-64(groups=", map(str, numbers((48, 8, 8))), ")", (48, 8, 8)))
    assert set(found) == {"1", "2", "4", "8", "16"}  # they divide 48 and 64
    assert set(dict(legal("maxpool", map(str, numbers((4, 6, 6))), "/1", (4, 6, 6)))) == {"1", "2", "3", "4", "5", "6"}
    assert found["4"] == (64, 6, 6)
    height = unknown("H")
    assert set(dict(legal("conv3-64(groups=", map(str, numbers((6, height, height))), ")", (6, height, height)))) == {"1", "2"}


# ---- renaming


def renamed(text: str, words: str, more: int, name: str) -> tuple[str, object]:
    index = indexed(text)
    occurrence = index.at(text.index(words) + more)
    assert occurrence is not None
    check_name(occurrence.symbol, name)
    new = text
    for each in reversed(index.of(occurrence.symbol)):
        new = new[: each.span.start] + name + new[each.span.end :]

    def check(which: str) -> Report:
        return check_text(new, name="net.arch", mend=False)

    return new, effect({"": check_text(text, name="net.arch", mend=False)}, check)


SOUND = "input 3x8x8\nlet k = 4\nstem: { a: conv3-{k}(pad=1); relu }\nb: conv3-{k}(pad=1)\nadd<@stem.a | @b>\n"


def test_a_renamed_label_says_which_keys_change() -> None:
    text, changed = renamed(SOUND, "stem", 0, "root")
    assert "root: {" in text and "@root.a" in text and "stem" not in text
    assert str(changed) == "2 keys of weights change: stem.a.weight -> root.a.weight, stem.a.bias -> root.a.bias"
    text, changed = renamed(SOUND, "k =", 0, "width")
    assert text.count("width") == 3 and str(changed) == "no key of a weight changes"


@pytest.mark.parametrize(
    ("text", "words", "name", "why"),
    [
        (SOUND, "b: conv3", "stem", "E0205"),  # taken
        (SOUND, "k =", "3k", "cannot be the name"),
        (SOUND, "stem", "train", "modules of torch"),
        ("input 3x8x8\nblock f(w) { conv3-{w} }\nf(4)\n", "f(w)", "conv", "an operator"),
        ("input 3x8x8\nlet a = 4\nlet b = 5\nif a > 3 { let c = b; conv3-{a * c} }\n", "c = b", "a", "another network"),
    ],
)
def test_a_renaming_that_changes_more_is_refused(text: str, words: str, name: str, why: str) -> None:
    with pytest.raises(CannotRename, match=why):
        renamed(text, words, 0, name)


# ---- texts that are read again after an edit


def told(text: str, trees: Trees | None) -> tuple[ast.File | None, object]:
    parsed = parse(Source("net.arch", text), trees=trees)
    places = [(d.code, d.message, d.span and (d.span.start, d.span.end)) for d in parsed.diagnostics]
    return parsed.file, (places, parsed.whole)


def agree(text: str, trees: Trees) -> None:
    """A text that is parsed with what an earlier version has left is read as one that is parsed alone."""
    (tree, rest), (alone, expected) = told(text, trees), told(text, None)
    assert rest == expected, text
    assert (tree is None) == (alone is None)
    assert tree is None or same(tree, alone), text
    if tree is not None and alone is not None:
        assert [(n.span.start, n.span.end) for n in ast.walk(tree)] == [(n.span.start, n.span.end) for n in ast.walk(alone)], text


def edits_agree(paths: list[Path], times: int) -> None:
    random_ = random.Random(3)
    for path in paths:
        text, trees = path.read_text(encoding="utf-8", errors="replace"), Trees()
        for _ in range(times):
            agree(text, trees)
            at = random_.randrange(len(text) + 1)
            end = min(len(text), at + random_.choice((0, 0, 1, 4)))
            text = text[:at] + random_.choice(("", "x", "(", "{", "}", "\n", ">", "conv3-8", "|", "@", "=> 3", "#")) + text[end:]


CASES = sorted(path for path in (ROOT / "tests/cases/errors").glob("*.arch") if path.is_file() and path.stat().st_size < 3_000)


def test_an_edited_text_is_read_as_a_new_one() -> None:
    edits_agree([ROOT / "archs/unet.arch", ROOT / "archs/resnet50.arch", *CASES[::40]], 6)


@pytest.mark.slow
def test_every_edited_text_is_read_as_a_new_one() -> None:
    edits_agree([*ARCHS, *CASES], 12)


def shown(report: Report) -> list[object]:
    found = [*report.diagnostics, *report.warnings]
    return [(d.code, d.message, d.span and (d.span.start, d.span.end), [str(repair) for repair in d.repairs]) for d in found]


def glances_are_checks(paths: list[Path]) -> None:
    """What is checked in two steps while somebody types is what is checked at once, and has errors in the first step already."""
    for path in paths:
        text, limits, trees = path.read_text(encoding="utf-8", errors="replace"), Limits(), Trees()
        for version in (text, f"{text}\n# changed\n"):
            loader = Loader(limits.max_nesting, limits.max_nodes, earlier=trees)
            loaded = loader.text(path.name, version.encode(), path.parent)
            glanced = glance(loaded, path.stem, loader, limits)
            before = [(d.code, d.message) for d in glanced.diagnostics]
            whole = completed(glanced, loaded, path.stem, loader.renewed(), limits, lambda: False)
            once = check_text(version, path.name, path.parent)
            assert shown(whole) == shown(once), path
            assert [(d.code, d.message) for d in glanced.diagnostics] == before  # it is not changed
            assert bool(before) == bool(once.diagnostics), path


def test_a_glance_and_what_completes_it_are_a_check() -> None:
    glances_are_checks([ROOT / "archs/unet.arch", *CASES[7::60]])


@pytest.mark.slow
def test_every_glance_and_what_completes_it_are_a_check() -> None:
    glances_are_checks(CASES)


def test_a_check_can_be_given_up() -> None:
    loader, limits = Loader(), Limits()
    loaded = loader.text("net.arch", b"input 3x8x8\nconvv3-8\n", Path())
    glanced = glance(loaded, "net", loader, limits)
    with pytest.raises(Stopped):
        completed(glanced, loaded, "net", loader.renewed(), limits, lambda: True)
