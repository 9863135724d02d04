"""Another engine for layouts than pygraphviz: the same pictures through DOT as text."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pygraphviz
import pytest

from archc import load
from archc.compiler.draw import drawing, layout
from archc.tests.support import ROOT

ASKED: list[tuple[str, str]] = []


def by_text(dot: str, form: str, program: str) -> bytes:
    """Lay out as an engine in a browser does: a text goes in, a text comes out."""
    ASKED.append((form, program))
    graph = pygraphviz.AGraph(string=dot)
    if form == "canon":
        return str(graph.to_string()).encode()
    made: bytes = graph.draw(format=form, prog=program)
    return made


@pytest.fixture
def engine() -> Iterator[None]:
    ASKED.clear()
    layout.use(by_text)
    yield
    layout.use(None)


def parts(picture: bytes) -> list[str]:
    """The boxes, frames and edges of a picture, in whichever order they are drawn."""
    return sorted(re.sub(r'id="edge[0-9]+"', "", part).strip() for part in re.split(r"(?=<g )|</g>", picture.decode()))


CASES = [
    ("lenet5", "svg", {}),
    ("googlenet", "svg", {"depth": 0, "expand": ("inception3a",)}),
    ("googlenet", "svg", {"style": "paper", "depth": 0, "expand": ("inception3a",)}),
    ("resnet18", "svg", {"depth": 3}),
    ("alexnet", "svg", {"style": "paper"}),
    ("lenet5", "tex", {}),
]


@pytest.mark.parametrize(("name", "form", "options"), CASES, ids=[f"{n}-{f}-{o.get('style', 'graph')}" for n, f, o in CASES])
def test_an_engine_that_takes_text_draws_the_same(name: str, form: str, options: dict[str, object], engine: None) -> None:
    net = load(ROOT / f"archs/{name}.arch")
    drawn = net.draw(form, **options)  # type: ignore[arg-type]
    assert ASKED
    layout.use(None)
    assert parts(drawn) == parts(net.draw(form, **options))  # type: ignore[arg-type]


def test_what_an_engine_raises_is_not_hidden() -> None:
    def broken(dot: str, form: str, program: str) -> bytes:
        raise MemoryError("no more")

    layout.use(broken)
    try:
        with pytest.raises(MemoryError, match="no more"):
            load(ROOT / "archs/lenet5.arch").draw()
    finally:
        layout.use(None)


def test_a_drawing_is_written_as_it_was_read() -> None:
    text = r"""digraph "a \"b\"" {
    graph [bb="0,0,10,10", label=<<B>x</B>  &lt;y>, newrank=true];
    node [fontname=Helvetica];
    subgraph cluster_a {
        graph [label="<plain>", lp="5,5"];
        subgraph cluster_b { graph [bb="1,1,2,2"]; "c.0" [pos="-3.5,4e-05", width=0.75]; }
        "c.0":e -> d:v:w [pos="e,1,1 \
2,2"];
    }
    d;
}"""
    read = drawing.read(text)
    (outer,) = read.subgraphs()
    (inner,) = outer.subgraphs()
    assert read.name == 'a "b"'
    assert read.graph_attr["label"] == "<B>x</B>  &lt;y"
    assert (inner.name, inner.graph_attr["label"], inner.graph_attr["lp"]) == ("cluster_b", "<plain>", "5,5")
    assert [(str(node), node.attr["pos"]) for node in read.nodes()] == [("c.0", "-3.5,4e-05"), ("d", "")]
    assert [(str(edge), edge.attr["pos"]) for edge in outer.edges()] == [("c.0->d", "e,1,1 2,2")]
    inner.graph_attr["label"] = 'say "hi"'
    again = drawing.read(read.to_string())
    assert again.subgraphs()[0].subgraphs()[0].graph_attr["label"] == 'say "hi"'
    assert drawing.read(again.to_string()).to_string() == again.to_string()


@pytest.mark.parametrize("text", ["digraph { a [label=<<B>x] }", "digraph { a", "digraph { a [label }", "%"])
def test_what_is_no_drawing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"DOT|HTML|attributes"):
        drawing.read(text)
