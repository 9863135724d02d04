"""Arithmetic between tensors: what is repeated, which axes are reduced, products of matrices, and names shared with expressions."""

from __future__ import annotations

import pytest

from archc import loads
from archc.compiler.analysis.derive import derive
from archc.compiler.analysis.notation import notation
from archc.compiler.driver import check_text, expanded_text
from archc.compiler.report import Report
from archc.dsl.rendering import render_all


def checked(text: str) -> Report:
    report = check_text(text)
    assert report.ok, render_all(report.diagnostics)
    return report


def codes(text: str) -> list[str]:
    return [found.code for found in check_text(text).diagnostics]


# ---- shapes that are repeated

GATES = ("64x1x1", "1x28x28", "1x1x1")


@pytest.mark.parametrize("gate", GATES)
def test_factors_are_repeated_and_terms_only_if_asked(gate: str) -> None:
    for merge in ("mul", "div", "add(broadcast=yes)", "sub(broadcast=yes)", "residual(broadcast=yes)"):
        for order in ("@map | @gate", "@gate | @map"):
            report = checked(f"input map: 64x28x28\ninput gate: {gate}\n{merge}<{order}> => 64x28x28")
            assert len(report.graph) == 3
    for merge in ("add", "sub", "residual", "mean", "max", "min"):
        assert codes(f"input map: 64x28x28\ninput gate: {gate}\n{merge}<@map | @gate>") == ["E0302"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("64x1x1", "1x28x28"),  # no branch has the shape of the result
        ("64x28x28", "64x1x28"),
        ("64x28x28", "32x1x1"),
        ("64x28x28", "2x28x28"),
        ("64x28x28", "1x14x14"),
        ("64x28x28", "1x28"),
        ("64", "1"),  # flat values are not repeated
        ("64", "64x1"),
    ],
)
def test_nothing_else_is_repeated(first: str, second: str) -> None:
    for merge in ("mul", "div", "add(broadcast=yes)"):
        for order in ("@a | @b", "@b | @a"):
            assert codes(f"input a: {first}\ninput b: {second}\n{merge}<{order}>") == ["E0302"]


def test_a_row_of_one_position_is_a_gate_of_channels_only_where_it_may_be() -> None:
    assert checked("input a: 64x10\ninput b: 64x1\nmul<@a | @b> => 64x10").graph
    assert codes("input a: 64x10\ninput b: 64x1\nadd<@a | @b>") == ["E0302"]
    assert codes("input 64x10\nresidual<adaptive_avgpool1; conv1-64>") == ["E0302"]


def test_a_forgotten_projection_is_still_found_and_repaired() -> None:
    (found,) = check_text("input 1x28x28\nresidual<conv3-64(pad=1)>").diagnostics
    assert found.code == "E0302" and "projection" in found.repairs[0].what
    (found,) = check_text("input 64x28x28\nadd<. | adaptive_avgpool1>").diagnostics
    assert "`add(broadcast=yes)<...>`" in found.help


def test_open_sizes_are_repeated_to() -> None:
    report = checked("input 64xHxW\nmul<. | conv1-1; sigmoid>\nadd(broadcast=yes)<. | adaptive_avgpool1> => 64xHxW")
    assert [str(legal) for legal in report.legal] == ["H >= 1", "W >= 1"]
    report = checked("input 64xHxW\nmul<maxpool; upsample2 | reduce_mean(axis=c)>")
    assert [str(legal) for legal in report.legal] == ["H >= 2 and H a multiple of 2", "W >= 2 and W a multiple of 2"]
    # As before there was `broadcast`: a sum with one value per channel fits maps of one position.
    assert [str(legal) for legal in checked("input 64xHxW\nadd<. | adaptive_avgpool1>").legal] == ["H in {1}", "W in {1}"]


# ---- axes


def test_axes_are_words_whatever_variables_there_are() -> None:
    report = checked("input 8x6x5\nlet h = 1\nlet w = 2\nreduce_mean(axis=[w, h]) => 8x1x1\nreduce_sum(axis=c) => 1x1x1")
    assert [notation(node) for node in report.graph][1:] == ["reduce_mean(axis=[h, w])", "reduce_sum(axis=c)"]
    assert checked("default reduce_max(axis=[h, w], keep=no)\ninput 8x6x5\nreduce_max => 8").graph
    assert checked("block pooled(keep) { reduce_min(axis=w, keep=keep) }\ninput 8x6x5\npooled(no) => 8x6").graph


def test_an_axis_may_be_dropped_but_not_all() -> None:
    assert [loads(f"input 8x4x6x5\nreduce_sum(axis={axis}, keep=no)")["reduce_sum1"] for axis in ("c", "d", "[h, w]", "[c, d, w]")] == [
        (4, 6, 5),
        (8, 6, 5),
        (8, 4),
        (6,),
    ]
    assert codes("input 8x6\nreduce_sum(axis=[c, w], keep=no)") == ["E0306"]
    assert [str(size) for size in checked("input 8xHxW\nreduce_mean(axis=h, keep=no)").graph["reduce_mean1"].shape] == ["8", "W"]


def test_what_a_reduction_sees() -> None:
    net = loads(
        "input 8x32x32\nconv3-8(pad=1)\na: reduce_mean(axis=c)\nb: reduce_max(axis=w)\nc: softmax(axis=h)\nd: reduce_sum(axis=w, keep=no)"
    )
    rows = {row.name: str(row.receptive_field) for row in net.summary().rows}
    assert rows["a"] == "3" and rows["b"] == "3xinf"
    assert rows["c"] == rows["d"] == "inf"


# ---- products of matrices


def test_products_of_matrices() -> None:
    report = checked("input 64xL\nmatmul(transpose_b=yes)<. | .> => 64x64\nmatmul<. | conv1-10(bias=no); matmul(transpose_a=yes)<. | .>>")
    assert str(report.cost().macs) == "4096*L+344064"
    assert dict(derive(report.graph, "matmul1"))["output"][1:] == [
        "channels: 64, the rows of the first",
        "length: 64, the columns of the second",
        "summed over L, the columns of the first and the rows of the second",
    ]
    rows = checked("input a: 8xN\ninput b: NxK\nmatmul<@a | @b> => 8xK")
    assert not rows.graph.conditions
    assert [str(condition) for _, condition in checked("input a: 8xN\ninput b: 16x4\nmatmul<@a | @b>").graph.conditions] == ["N == 16"]


# ---- names


def test_merges_and_functions_of_numbers_have_the_same_names() -> None:
    report = checked(
        "input 8x6x6\nlet w = max(4, min(8, 16))\nmax<conv1-{max(1, w)} | .>; min<. | conv1-{abs(-w)}>; abs; mean<. | .> => 8x6x6"
    )
    assert [node.op for node in report.graph] == ["input", "conv", "max", "conv", "min", "abs", "mean"]
    again = check_text(expanded_text(report))
    assert again.ok and again.graph.same_as(report.graph)
    for text, meant in (("mean(axis=c)", "reduce_mean(axis=c)"), ("max3/2", "maxpool3/2"), ("max(1, 2)", "reduce_max(axis=c)")):
        (found,) = check_text(f"input 8x6x6\n{text}\n").diagnostics
        assert found.code == "E0310" and f"`{meant}`" in found.help


def test_a_softmax_over_positions_is_no_classifier() -> None:
    assert len(check_text("input 8x6\nconv1-8; softmax").warnings) == 1
    assert not check_text("input 8x6\nconv1-8; softmax(axis=w)").warnings
