"""Operators that move values, and recurrence, without torch: how they are written, explained and bounded, and which sizes are legal."""

from __future__ import annotations

import pytest

from archc import loads
from archc.compiler.analysis.derive import derive
from archc.compiler.analysis.memory import usage
from archc.compiler.analysis.notation import notation
from archc.compiler.analysis.receptive import receptive_fields
from archc.compiler.driver import check_text
from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import lowered
from archc.compiler.lowering.text import program_text
from archc.dsl.errors import ArchError


@pytest.mark.parametrize(
    ("item", "legal"),
    [
        ("slice(3, in.h, step=2, axis=h)", "H >= 4"),
        ("slice(0, in.h - 2, axis=h)", "H >= 3"),
        ("slice(0, 7, axis=h)", "H >= 7"),
        ("slice(in.h//2, in.h, axis=h)", "H >= 1"),
        ("gather([0, 4], axis=h)", "H >= 5"),
        ("space_to_depth4", "H >= 4 and H a multiple of 4"),
        ("transpose(c, h)", "H >= 1"),
        ("expand(h=5)", "H in {1, 5}"),
    ],
)
def test_legal_sizes(item: str, legal: str) -> None:
    report = check_text(f"input 4xHx8\n{item}")
    assert report.ok, report.diagnostics
    (found,) = report.legal
    assert str(found).replace("H in {1}", "H in {1, 5}") == legal


def test_an_axis_can_be_sliced_up_to_its_own_size() -> None:
    report = check_text("input 4xHxW\nslice(0, in.h, axis=h); roll(h=1, w=1); flip(axis=w); slice(0, in.c)")
    assert [str(condition) for _, condition in report.graph.conditions] == ["H >= 1"]


def test_a_slice_of_an_open_size_is_not_lowered() -> None:
    graph = loads("input 4xHxW\nslice(1, in.h, axis=h)").graph
    with pytest.raises(ArchError, match="its sizes are open"):
        lowered(graph)
    assert "1:9" in program_text(lowered(loads("input 4x9x5\nslice(1, in.h, axis=h)").graph))
    assert "0:9:2" in program_text(lowered(loads("input 4x9x5\nslice(0, in.h, 2, h)").graph))


@pytest.mark.parametrize(
    ("item", "lines"),
    [
        ("slice(2, 8)", ["channels: 8 - 2 = 6"]),
        ("slice(1, in.h, step=2, axis=h)", ["height: ceil((12 - 1)/2) = 6"]),
        ("gather([0, 7])", ["channels: 2 indices into 8"]),
        ("space_to_depth2", ["channels: 8*2*2 = 32", "height: 12/2 = 6", "width: 10/2 = 5"]),
        ("pixel_shuffle2", ["channels: 8/(2*2) = 2", "height: 12*2 = 24", "width: 10*2 = 20"]),
        ("transpose(c, h)", ["channels and height swapped: 8x12x10 becomes 12x8x10"]),
        ("roll(w=3)", ["the shape of its input", "width: position i comes from i - 3"]),
    ],
)
def test_shapes_are_explained(item: str, lines: list[str]) -> None:
    graph = loads(f"input 8x12x10\n{item}").graph
    last = list(graph)[-1]
    assert dict(derive(graph, last.name))["output"][1:] == lines


def test_notation() -> None:
    graph = loads(
        "input 8x12x10\nspace_to_depth2; roll(h=-3); gather([0, 5, 2, 1]); pixel_shuffle(2); conv3-4(weight=scaled(gamma=2))"
    ).graph
    assert [notation(node) for node in graph][1:] == [
        "space_to_depth2",
        "roll(h=-3)",
        "gather(index=[0, 5, 2, 1])",
        "pixel_shuffle2",
        "conv3-4(weight=scaled(gamma=2.0, eps=1e-06))",
    ]


def test_recurrence() -> None:
    net = loads("input 64x20\na: lstm-32(layers=2, bidirectional=yes) => 64x20\nb: gru-16(last=yes) => 16")
    assert net.params == 4 * 32 * (64 + 32 + 2) * 2 * 2 + 3 * 16 * (64 + 16 + 2)
    assert net.macs == 20 * (4 * 32 * (64 + 32) * 4 + 3 * 16 * (64 + 16))
    assert [str(field) for field in receptive_fields(net.graph).values()] == ["1", "inf", "inf"]
    assert usage(net.graph).saved


@pytest.mark.parametrize("item", ["lstm-8", "gru-8"])
@pytest.mark.parametrize("size", ["64", "64x8x8", "3x4x5x6"])
def test_recurrence_is_over_a_row(item: str, size: str) -> None:
    (found,) = check_text(f"input {size}\n{item}").diagnostics
    assert found.code == "E0305" and "a row of tokens" in found.message


def test_weights_are_counted_with_what_computes_them() -> None:
    plain, scaled, spectral = (loads(f"input 8x9x9\nconv3-16(pad=1{weight})") for weight in ("", ", weight=scaled", ", weight=spectral"))
    assert scaled.params == plain.params + 16 and spectral.params == plain.params
    assert plain.macs == scaled.macs == spectral.macs
    assert usage(spectral.graph).buffers == 4 * (16 + 72)
    default = loads("input 8x9x9\ndefault conv(weight=standardized, bias=no)\nresidual<conv3-8(pad=1); relu; conv3-8(pad=1)>")
    assert {str(node.attrs["weight"]) for node in default.graph if node.op == "conv"} == {"standardized(eps=1e-06)"}


def test_legal_sizes_of_an_expansion_are_exact() -> None:
    """An axis of one position is repeated, and one that has the size already stays."""
    text = "input 8xHx{width}\nmaxpool(2, ceil=yes)\nexpand(h=7, w=3)"
    (legal,) = check_text(text.format(width=2)).legal
    assert [size for size in range(1, 40) if legal.admits(size)] == [1, 2, 13, 14]
    assert all(legal.admits(size) is check_text(text.replace("H", str(size)).format(width=2)).ok for size in range(1, 20))
    graph = check_text(text.format(width=2)).graph
    assert ArchGraph.from_json(graph.to_json()).same_as(graph)
    assert not check_text(text.format(width=4)).ok


def test_a_start_counted_from_the_end_needs_as_many_positions() -> None:
    report = check_text("input 8xL\nslice(L - 4, L, axis=w)")
    assert [str(legal) for legal in report.legal] == ["L >= 4"]
    assert check_text("input 8x3\nslice(in.w - 4, in.w, axis=w)").diagnostics[0].code == "E0323"
