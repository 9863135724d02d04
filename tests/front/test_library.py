"""The Python interface: what is asked wrongly is refused in words, results are data, text and tables, and types hold."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import archc
from archc.compiler.draw.picture import FORMATS, listed
from archc.compiler.draw.svg import inline
from archc.compiler.tables import html_table, latex_table, markdown_table, text_table
from archc.tests.support.commands import forked
from archc.ui.verbs.app import app

ROOT = Path(archc.__file__).parent
NET = 'arch net(w=4) "a <b>bold</b> & small net"\ninput 3x8x8\nstem: conv3-{w}\nlayer1: [ conv3-{w}(pad=1); relu ] x2\nFC-5\n'


@pytest.fixture(scope="module")
def net() -> archc.Network:
    return archc.loads(NET)


# ---- what is refused

ALL, PARTS = listed(), listed(form for form in FORMATS if not form.whole)

REFUSALS: dict[str, tuple[Callable[[archc.Network], object], str]] = {
    "format": (lambda net: net.draw("bmp"), f"pictures are {ALL}, not bmp"),
    "near format": (lambda net: net.draw("mermade"), "did you mean `mermaid`?"),
    "style": (lambda net: net.draw(style="papr"), "style is graph or paper, not papr; did you mean `paper`?"),
    "style of a format": (
        lambda net: net.draw("mermaid", style="paper"),
        "style paper is drawn as svg, pdf, png, dot, html or tex, not as mermaid",
    ),
    "theme": (lambda net: net.draw(theme="drk"), "theme is auto, light, dark or print, not drk; did you mean `dark`?"),
    "heat": (lambda net: net.draw(heat="joules"), "heat is params, macs, memory or time, not joules"),
    "depth of a picture": (lambda net: net.draw(depth=-1), "depth is a whole number, 0 or more, not -1"),
    "block": (lambda net: net.draw(expand="layr1"), "there is no block layr1; did you mean `layer1`"),
    "far block": (lambda net: net.draw(collapse=["xyz"]), "there is no block xyz; a picture of depth 1 shows which blocks there are"),
    "level": (lambda net: net.lower(level=5), "level is 0 or 1, not 5"),
    "level for inference": (lambda net: net.optimize(None, level=7), "level is 0, 1, 2 or 3, not 7"),  # type: ignore[arg-type]
    "level as text": (lambda net: net.lower(level="1"), "level is 0 or 1, not 1"),  # type: ignore[arg-type]
    "batch": (lambda net: net.optimize(None, batch=0), "batch is a whole number, 1 or more, not 0"),  # type: ignore[arg-type]
    "node": (lambda net: net["nope"], "net has no node or part nope"),
    "near node": (lambda net: net["flaten1"], "net has no node or part flaten1; did you mean `flatten1`?"),
    "explained node": (lambda net: net.explain("sten"), "net has no node or part sten; did you mean `stem`?"),
    "part": (lambda net: net.summary(expand="layer9"), "net has no node or part layer9; did you mean `layer1`"),
    "convention": (lambda net: net.summary(convention="torchinf"), "not torchinf; did you mean `torchinfo`?"),
    "sort key": (lambda net: net.summary(sort="parms"), "sort is params, macs or memory, not parms; did you mean `params`?"),
    "width": (lambda net: net.summary().text("x"), "width is a whole number, 1 or more, not x"),  # type: ignore[arg-type]
    "limit": (lambda net: archc.loads(NET, limits=archc.Limits("x")), "max_nodes is a whole number, 1 or more, not x"),  # type: ignore[arg-type]
    "top": (lambda net: net.summary(sort="macs", top=0), "top is a whole number, 1 or more, not 0"),
    "depth": (lambda net: net.summary(depth=0), "depth is a whole number, 1 or more, not 0"),
    "layout": (lambda net: net.summary(layout="whc"), "layout is chw or hwc, not whc"),
    "dtype": (lambda net: net.memory(dtype="float23"), "not float23; did you mean `float32` or"),
    "dtype that is run": (lambda net: net.memory(dtype="float64", measure=True), "dtype is float32, bfloat16 or float16, not float64"),
    "dtype of a table": (lambda net: archc.table([net], dtype="int8"), "dtype is float32, bfloat16, float16 or float64, not int8"),
    "batch of a table": (lambda net: archc.table([net], batch=-1), "batch is a whole number, 1 or more, not -1"),
    "optimizer": (lambda net: net.memory(optimizer="adma"), "optimizer is sgd, momentum or adam, not adma; did you mean `adam`?"),
    "device": (lambda net: net.bench(device="tpu"), "device is auto, cpu or cuda, not tpu"),
    "no format": (lambda net: net.compile("net.txt"), "-o writes .pt2 (torch.export), .aoti.pt2"),
    "suffix alone": (lambda net: net.compile(".json"), "-o writes .pt2 (torch.export)"),
    "twice written": (lambda net: net.compile("a.json", Path("a.json")), "a.json is to be written twice"),
    "no folder": (lambda net: net.compile("none/a.json"), "there is no folder none to write a.json into"),
    "path": (lambda net: net.compile(7), "path is text or a path, not 7"),  # type: ignore[arg-type]
    "compiled level": (lambda net: net.compile("a.json", level=4), "level is 0, 1, 2 or 3, not 4"),
    "compiled dtype": (lambda net: net.compile("a.json", dtype="float64"), "dtype is float32, bfloat16 or float16, not float64"),
    "compiled batch": (lambda net: net.compile("a.json", batch=0), "batch is a whole number, 1 or more, not 0"),
    "compiled device": (lambda net: net.compile("a.json", device="tpu"), "device is auto, cpu or cuda, not tpu"),
    "compiled weights": (lambda net: net.compile("a.json", weights=None), "weights is text or a path, not None"),  # type: ignore[arg-type]
    "level of a format": (lambda net: net.compile("a.pt2", level=2), "a .pt2 holds the network of level 0 or 1; the result of level 2 is"),
    "level of a longer suffix": (lambda net: net.compile("a.aoti.pt2"), "a .aoti.pt2 holds the network of level 2 or 3; its code is"),
    "option of no format": (lambda net: net.compile("a.json", colour=3), "no format has an option colour"),
    "nothing to verify": (lambda net: net.compile(verify=True), "verify compares what was written with the network: give a file"),
    "bench level": (lambda net: net.bench(upto=4), "upto is 0, 1, 2 or 3, not 4"),
    "bench runs": (lambda net: net.bench(runs=0), "runs is a whole number, 1 or more, not 0"),
    "other": (lambda net: net.diff("net"), "a network is compared with a network, not with a str"),  # type: ignore[arg-type]
    "format of a difference": (lambda net: net.diff(net).draw("html"), f"a difference is drawn as {PARTS}"),
    "plot": (lambda net: archc.table([net]).plot("a.gif"), "a plot is .svg, .pdf, .png, .tex or .pgf, not a.gif"),
    "axis": (lambda net: archc.table([net]).plot("a.svg", x="mac"), "or backward, not mac; did you mean `macs`?"),
    "axis of words": (lambda net: archc.table([net]).plot("a.svg", y="family"), "y is params, macs, flops, layers, field,"),
    "logarithms": (lambda net: archc.table([net]).plot("a.svg", log="z"), "log is x, y, xy or none, not z"),
    "labels": (lambda net: archc.table([net]).plot("a.svg", labels="long"), "labels is full, short or none, not long"),
    "page": (lambda net: archc.table([net]).plot("a.svg", width="columns"), "did you mean `column`?"),
    "tiny page": (lambda net: archc.table([net]).plot("a.svg", width="2mm"), "width is from 1 to 40 inches, not 2mm"),
    "resolution": (lambda net: archc.table([net]).plot("a.png", dpi=0), "dpi is a whole number, 1 or more, not 0"),
    "column": (lambda net: archc.table([net]).shown(columns=["param"]), "did you mean `params`?"),
    "unit": (lambda net: archc.table([net]).shown(units={"params": "MiB"}), "units of params is K, M, G, T, e3, e6 or e9, not MiB"),
    "unit of nothing": (lambda net: archc.table([net]).shown(units={"parms": "M"}), "did you mean `params`?"),
    "digits": (lambda net: archc.table([net]).shown(digits=-1), "digits is a whole number, 0 or more, not -1"),
    "many digits": (lambda net: archc.table([net]).shown(digits={"params": 13}), "digits is at most 12, not 13"),
    "order": (
        lambda net: archc.table([net]).shown(sort="-sise"),
        "sort is name, params, macs, flops,",
    ),
    "groups": (lambda net: archc.table([net]).shown(group_by="famly"), "did you mean `family`?"),
    "less is better": (lambda net: archc.table([net]).shown(lower=["error"]), "lower is a column of numbers of one's own, not error"),
    "title of nothing": (
        lambda net: archc.table([net]).shown(rename={"nett": "N"}),
        "rename names nett, and there is no network,",
    ),
    "no data": (lambda net: archc.table([net]).with_data("none.csv"), "data none.csv cannot be read: No such file"),
    "notation": (lambda net: archc.layer_table([net], notation="kernel"), "notation is kernels or layers, not kernel; did you mean"),
    "layers of nothing": (lambda net: archc.layer_table([]), "networks are none"),
    "hidden column": (lambda net: archc.layer_table([net]).shown(hide=["size"]), "hide is stage, output or notes, not size"),
    "order of stages": (lambda net: archc.layer_table([net]).shown(sort="params"), "sort is for tables with a row for each network"),
    "width of layers": (lambda net: archc.layer_table([net]).text(0), "width is a whole number, 1 or more, not 0"),
    "no path": (lambda net: archc.load(None), "path is text or a path, not None"),  # type: ignore[arg-type]
    "no text": (lambda net: archc.loads(7), "text is text, not 7"),  # type: ignore[arg-type]
    "format of nothing": (lambda net: archc.format(None), "text is text, not None"),  # type: ignore[arg-type]
    "check of a number": (lambda net: archc.check(text=0), "text is text or None, not 0"),  # type: ignore[arg-type]
    "limits": (lambda net: archc.loads(NET, limits="x"), "limits is Limits or None, not 'x'"),  # type: ignore[arg-type]
    "inputs": (lambda net: archc.loads(NET, inputs=0), "inputs is text, a mapping or None, not 0"),  # type: ignore[arg-type]
    "shape of an input": (lambda net: archc.loads(NET, inputs={"input": 0}), "inputs is text, not 0"),  # type: ignore[dict-item]
    "name of a setting": (lambda net: archc.loads(NET, settings={0: 3}), "settings is text, not 0"),  # type: ignore[dict-item]
    "table of paths": (lambda net: archc.table(["a.arch"]), "networks are networks, or pairs of a name and a network, not 'a.arch'"),  # type: ignore[list-item]
    "table of nothing": (lambda net: archc.table(None), "networks is a list, not None"),  # type: ignore[arg-type]
    "names": (lambda net: net.diff(net, names="ab"), "names are two texts, not 'ab'"),  # type: ignore[arg-type]
    "size": (lambda net: net.why_not(None), "size is text, not None"),  # type: ignore[arg-type]
    "blocks": (lambda net: net.draw("dot", expand=None), "blocks is a list, not None"),  # type: ignore[arg-type]
    "neither": (lambda net: archc.check(), "check takes a path, or text=..."),
    "both": (lambda net: archc.check("a.arch", text="relu"), "check takes a path, or text=..."),
    "settings": (lambda net: archc.loads(NET, settings=[4]), "settings is a mapping"),  # type: ignore[arg-type]
    "twice": (lambda net: archc.loads(NET, settings={"w": 4}, w=5), "settings and the keywords both set w"),
    "setting": (lambda net: archc.loads(NET, w={"a": 1}), "w is a number, a word, yes or no, or a list of them, not a dict"),
    "again": (lambda net: archc.Network(net.check()).why_not("3x8x8"), "only a network that was loaded"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_does_not_exist_is_refused_in_words(name: str, net: archc.Network) -> None:
    ask, words = REFUSALS[name]
    with pytest.raises(archc.UsageError) as caught:
        ask(net)
    assert words in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_unknown_node_is_a_key_error_too_and_says_what_there_is(net: archc.Network) -> None:
    with pytest.raises(KeyError) as caught:
        net["stm"]
    error = caught.value
    assert isinstance(error, archc.UnknownName)
    assert (error.given, tuple(error.near)) == ("stm", ("stem",))
    assert {"layer1", "layer1.0", "layer1.0.1"} <= set(error.known)


def test_sizes_that_are_open_have_no_memory() -> None:
    opened = archc.loads("input 3xHxW\nconv3-4\n")
    with pytest.raises(archc.UsageError, match="the memory of text depends on H, W: give the sizes with inputs"):
        opened.memory()
    assert archc.table([opened]).entries[0].peak is None


VERBS = {
    "draw --format bmp": f"archc: pictures are {ALL}, not bmp",
    "draw --style papr": "archc: --style is graph or paper, not papr; did you mean `paper`?",
    "draw --theme drk": "archc: --theme is auto, light, dark or print, not drk; did you mean `dark`?",
    "draw --expand layr1": "archc: there is no block layr1; did you mean `layer1`",
    "summary --convention x": "archc: --convention is paper, torchvision, torchinfo or fvcore, not x",
    "summary --sort size": "archc: --sort is params, macs or memory, not size",
    "summary --format xml": "archc: --format is text, json, csv, md, latex or html, not xml",
    "summary --expand layer9": "archc: net has no node or part layer9; did you mean `layer1`",
    "table --dtype int8": "archc: --dtype is float32, bfloat16, float16 or float64, not int8",
    "table --columns parms": "archc: --columns is params, macs, flops, layers, field, inference, backward or family, not parms",
    "table --x macs --y params": "archc: --y is for a plot: give -o FILE",
    "table --layers --sort params": "archc: --sort is for tables with a row for each network",
    "table --layers --lower x": "archc: --lower is for tables with a row for each network, not for --layers",
    "table --hide stage": "archc: --hide is for --layers",
    "table --caption x": "archc: --caption is for --latex",
    "table --units params": "archc: --units takes NAME=VALUE, not params",
    "table --digits x": "archc: --digits is a whole number, 0 or more, not x",
    "bench --device tpu": "archc: --device is auto, cpu or cuda, not tpu",
}


@pytest.mark.thorough
@pytest.mark.parametrize("line", VERBS)
def test_a_verb_says_what_the_library_says(line: str, tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text(NET)
    verb, *options = line.split()
    done = forked(verb, str(path), *options)
    assert done.returncode == 2
    assert done.stderr.startswith(VERBS[line])


# ---- settings


def test_a_parameter_may_have_the_name_of_an_argument() -> None:
    text = "arch net(inputs=4, limits=1, settings=2)\ninput 3x8x8\nconv1-{inputs*limits*settings}\n"
    assert archc.loads(text)["conv1"][0] == 8
    named = {"inputs": 5, "limits": 2, "settings": 3}
    assert archc.loads(text, settings=named, inputs="3x6x6")["conv1"] == (30, 6, 6)


def test_settings_are_keywords_or_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text("arch net(w=[4, 4], act=relu, deep=no)\ninput 3x8x8\nfor c in w { conv1-{c} }\nif deep { relu }\nact\n")
    same = [
        archc.load(path, w=[6, 8], deep=True),
        archc.load(path, settings={"w": (6, 8), "deep": True}),
        archc.load(path, settings={"w": "[6, 8]"}, deep="yes"),
    ]
    assert len({net.expand() for net in same}) == 1
    assert "-8" in same[0].expand()
    report = archc.check(path, settings={"w": [6, 8]})
    assert report.ok and report.cost().params == same[0].params


# ---- results


def test_a_check_never_raises(tmp_path: Path) -> None:
    report = archc.check(text="input 3x8x8\nmaxpol\nconv9-8\n")
    assert not report.ok
    assert report.diagnostics[0].code == "E0201"
    assert "did you mean" in str(report) or "maxpool" in str(report)
    assert repr(report).startswith("<Report text:")
    assert json.loads(json.dumps(report.facts()))["ok"] is False
    assert archc.check(tmp_path / "none.arch").diagnostics[0].code == "E0608"
    assert archc.check(text="block a(w) { conv3-{w} }\n").ok
    assert "parameters" in str(archc.check(text=NET))
    assert archc.loads(NET).check().ok


def test_format_is_that_of_the_verb() -> None:
    assert archc.format("input   3x8x8 # here\nCONV3-4 ;relu ;\n") == "input 3x8x8  # here\nconv3-4; relu\n"
    with pytest.raises(archc.ArchError, match="E0"):
        archc.format("conv3-(\n")


def test_a_summary_is_rows_and_text(net: archc.Network) -> None:
    summary = net.summary()
    assert [row.name for row in summary.rows] == ["input", "stem", "layer1", "flatten1", "fc1"]
    assert sum(row.params * row.copies for row in summary.rows) == summary.params == net.params
    assert len(list(summary)) > len(summary.rows)  # those of the opened block too
    assert net.summary(sort="params", top=1).rows[0].name == "fc1"
    assert net.summary(layout="hwc").text() != summary.text()
    assert str(summary).splitlines()[0].split() == [
        "name", "operator", "output", "parameters", "MACs", "share", "FLOPs", "memory", "field",
    ]  # fmt: skip
    assert json.loads(json.dumps(summary.facts()))["rows"][1]["name"] == "stem"
    assert net.summary(expand="layer1").rows == net.summary(expand=["layer1"]).rows


def test_a_difference_is_changes_and_text(net: archc.Network) -> None:
    other = archc.loads(NET, w=6)
    found = net.diff(other, names=("four", "six"))
    assert not found.same and found.params == (net.params, other.params)
    assert sum(change.params for change in found) == other.params - net.params
    assert "four -> six" in str(found) and found.counterparts["stem"] == "stem"
    assert b"four" in found.draw("dot", depth=0)
    assert net.diff(net).same and str(net.diff(net)) == "net and net are the same network"
    assert found.facts()["changes"]


def test_memory_is_bytes_and_text(net: archc.Network) -> None:
    needs = net.memory(optimizer="sgd", batch=2)
    assert needs.parameters == 4 * net.params and needs.optimizer == 0
    assert set(needs.facts()) == {"parameters", "buffers", "gradients", "optimizer", "saved", "peak", "peak_at"}
    assert "state of the optimizer (sgd)" in str(needs) and "batch 2" in str(needs)


def test_an_explanation_is_topics_and_text(net: archc.Network) -> None:
    (step,) = net.explain("stem")
    assert "parameters" in step.topics and str(net.explain("stem")).startswith("stem\n  written")
    assert net.explain("layer1").steps[0].name == "layer1.0.0"
    assert net.explain("fc1", back=True).steps[-1].name == "input"
    assert [step.name for step in net.explain()] == ["input", "stem", "flatten1", "fc1"]
    assert json.loads(json.dumps(net.explain().facts()))


def test_why_not_keeps_the_settings() -> None:
    net = archc.loads("arch net(k=3)\ninput 3x8x8\nconv{k}-4\n", k=7)
    assert net.why_not("3x6x6").startswith("net cannot take 3x6x6. What fails first:")
    assert "W >= 7" in net.why_not("3x9x9")


# ---- in a notebook


class Page(HTMLParser):
    """Collects what a page holds, and that its elements close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_notebook_shows_a_picture_in_the_page(net: archc.Network) -> None:
    bundle = net._repr_mimebundle_()
    assert bundle["text/plain"] == repr(net)
    page = Page(bundle["text/html"])
    assert page.tags[:2] == ["div", "svg"] and "b" not in page.tags and "script" not in page.tags
    assert "3x8x8" in page.words and "flatten1" in "".join(page.words)
    assert bundle["image/svg+xml"].startswith("<?xml")


def test_what_a_picture_says_stays_text_in_a_page() -> None:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg"><g id="a&quot;b"><title>&lt;script&gt; &amp; more</title></g><use href="#a&quot;b"/></svg>'
    )
    page = Page(inline(svg))
    assert page.words == ["<script> & more"] and page.tags == ["div", "svg", "g", "title", "use"]
    assert page.ids[0].startswith("archc-") and page.ids[0].endswith('-a"b')
    assert f'href="#{page.ids[0]}"'.replace('a"b', "a&quot;b") in inline(svg)


def test_pictures_in_one_page_do_not_reach_each_other(net: archc.Network) -> None:
    one, other = (made._repr_mimebundle_()["text/html"] for made in (net, archc.loads(NET, w=6)))
    ids = Page(one).ids + Page(other).ids
    assert ids and len(ids) == len(set(ids))
    for html in (one, other):
        (own,) = set(re.findall(r'<svg[^>]* class="([^"]+)"', html))
        style = html.partition("<style>")[2].partition("</style>")[0]
        selectors = re.findall(r"([^{}]+)\{(?!\.)", re.sub(r"@media[^{]+\{", "", style))
        assert selectors and all(selector.startswith(f".{own} [") for selector in selectors)
        assert "--archc-" in style and ":root" not in style  # it reads the colours of the page, and sets none
        assert all(id_.startswith(f"{own}-") for id_ in Page(html).ids)
        assert "url(#" not in html or f"url(#{own}-" in html


def test_results_are_tables_in_a_notebook(net: archc.Network) -> None:
    hostile = "<script>alert('&')</script>"
    results: list[Any] = [
        net.summary(),
        net.memory(),
        net.diff(archc.loads(NET, w=6), names=(hostile, "b")),
        net.diff(net, names=(hostile, "b")),
        archc.table([(hostile, net)]),
        net.explain("stem"),
    ]
    for result in results:
        page = Page(result._repr_html_())
        assert not page.ids and not {"script", "style"} & set(page.tags)
    for result in results[2:5]:
        assert any(hostile in word for word in Page(result._repr_html_()).words)
    shown = Page(net.summary()._repr_html_())
    assert shown.tags.count("tr") == len(list(net.summary())) + 2
    assert f"{net.params:,}" in shown.words


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.integers(1, 5).flatmap(lambda count: st.lists(st.lists(CELLS, min_size=count, max_size=count), min_size=1, max_size=4)))
def test_tables_hold_any_text(rows: list[list[str]]) -> None:
    heads = [f"{'>' * (number % 2)}head{number}" for number in range(len(rows[0]))]
    lines = text_table(heads, rows).splitlines()
    assert lines[0].split() == [head.removeprefix(">") for head in heads]
    assert set(lines[1]) == {"─"} and len(lines) <= len(rows) + 2
    page = Page(html_table(heads, rows, rows[0], ["a & b"]))
    assert page.tags.count("td") == len(rows) * len(heads) and "a & b" in page.words
    assert set(page.tags) == {"table", "thead", "tbody", "tfoot", "tr", "th", "td", "p"}
    assert markdown_table(heads, rows) and latex_table(heads, rows)


# ---- the package


def test_the_package_lists_what_it_has() -> None:
    assert dir(archc) == sorted(archc.__all__)
    for name in archc.__all__:
        assert getattr(archc, name) is not None
        assert getattr(archc, name).__doc__ or name == "__version__"
    with pytest.raises(AttributeError, match="module 'archc' has no attribute 'lod'"):
        archc.lod  # noqa: B018


def test_everything_public_says_what_it_is() -> None:
    silent = []
    for name in archc.__all__:
        value = getattr(archc, name)
        if isinstance(value, type):
            members = {**vars(value)}
            silent += [
                f"{name}.{key}"
                for key, member in members.items()
                if not key.startswith("_") and (callable(member) or isinstance(member, property)) and not member.__doc__
            ]
    assert not silent


def test_importing_the_package_costs_nothing() -> None:
    program = "import sys, archc; dir(archc); assert not [m for m in sys.modules if m.startswith('archc.')], sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)


USER = ROOT / "tests/cases/typing/user.py"


def test_the_program_of_a_user_runs_without_torch() -> None:
    program = f"import runpy, sys; runpy.run_path({str(USER)!r}, run_name='__main__'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60, capture_output=True)


def test_help_lists_what_the_tables_hold() -> None:
    """The words of options are those of the tables that check them."""
    from archc.compiler.analysis.conventions import CONVENTIONS
    from archc.compiler.analysis.memory import BYTES, OPTIMIZERS
    from archc.compiler.draw.style import HEATS, STYLES, THEMES

    words = {"summary": (CONVENTIONS, BYTES, OPTIMIZERS), "draw": (STYLES, THEMES, HEATS)}
    for verb, tables in words.items():
        shown = CliRunner().invoke(app, [verb, "--help"], terminal_width=300).output
        assert all(word in shown for table in tables for word in table)


# ---- the page


def test_the_page_of_the_interface_is_that_of_the_docstrings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    spec = spec_from_file_location("build", ROOT / "docs/build.py")
    assert spec is not None and spec.loader is not None
    build = module_from_spec(spec)
    spec.loader.exec_module(build)
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    assert build.render(ROOT / "docs/python.md.jinja") == page, "run `make docs`"
    for name in archc.__all__:
        assert re.search(rf"^### (archc\.)?{name}$", page, re.M) or name == "__version__"
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    monkeypatch.chdir(ROOT)
    exec(program, {})
    printed = capsys.readouterr().out.splitlines()
    assert printed
    assert all(f"# {line}\n" in program for line in printed), printed


def test_a_network_can_be_pickled() -> None:
    for net in (archc.loads(NET), archc.load(ROOT / "archs/lenet5.arch")):
        again = pickle.loads(pickle.dumps(net))
        assert again.graph.same_as(net.graph)
        assert again.why_not("3x1x1") == net.why_not("3x1x1")


def test_format_reads_a_text_as_a_file() -> None:
    for text in ("input 3x3x3\r\nfc-2\r\n", "\ufeffinput 3x3x3\nfc-2\n", "input 3x3x3\rfc-2"):
        assert archc.format(text) == "input 3x3x3\nfc-2\n"
        assert archc.check(text=text).ok
    with pytest.raises(archc.ArchError, match="E0106"):
        archc.format("\ud800")
