"""Graphs read back: the text is the same graph, has blocks and loops where a person would write them, and is about as short as ours."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from hypothesis import given, settings

from archc.compiler.analysis.written import NOWHERE
from archc.compiler.driver import check, check_text
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.read import Reading, UnreadableError, difference, read_graph, read_nameless
from archc.compiler.read.regions import flat, renamed
from archc.tests.support import ROOT
from archc.tests.support.programs import checked, programs, relaxed
from archc.tests.support.reading import code_lines, own_lines

pytestmark = pytest.mark.thorough  # `make test` runs it, and `make check` does not

ARCHS = ROOT / "archs"
BY_DAY = ["resnet18", "resnet50", "vgg16", "googlenet", "densenet121", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x1_0",
          "squeezenet1_0", "unet", "vit_b_16", "swin_t", "wavenet", "seq2seq_attention"]  # fmt: skip


def graph_of(name: str) -> ArchGraph:
    return check(ARCHS / f"{name}.arch", mend=False).graph


def graph(text: str) -> ArchGraph:
    report = check_text(text, mend=False)
    assert report.ok, report
    return report.graph


def read(text: str) -> Reading:
    """Read the graph of a text; the text that is read is checked to be that graph."""
    made = graph(text)
    reading = read_graph(made)
    assert graph(reading.text).same_as(made)
    return reading


def body(text: str) -> str:
    """Return the read text without its claims and its input."""
    lines = read(text).text.splitlines()
    return "\n".join(line for line in lines if not line.startswith(("arch ", "input ", "expect ")))


@pytest.mark.parametrize("name", BY_DAY)
def test_a_network_comes_back(name: str) -> None:
    made = graph_of(name)
    reading = read_graph(made)
    assert reading.form == "blocks"
    assert difference(made, reading.text) == ""
    assert reading.nodes == sum(not node.is_input for node in made)
    assert reading.lines == code_lines(reading.text) <= 2 * own_lines(ARCHS / f"{name}.arch")


@pytest.mark.slow
def test_all_networks_come_back_about_as_short_as_ours() -> None:
    ratios: dict[str, float] = {}
    for path in sorted(ARCHS.glob("*.arch")):
        reading = read_graph(graph_of(path.stem))
        assert reading.form == "blocks", path.stem
        ratios[path.stem] = reading.lines / own_lines(path)
    print("\n".join(f"{name:32} {ratio:.2f}" for name, ratio in ratios.items()))
    assert len(ratios) > 100
    assert statistics.median(ratios.values()) <= 1.3
    assert max(ratios.values()) <= 2.0


def test_resnet_50_reads_as_a_person_would_write_it() -> None:
    reading = read_graph(graph_of("resnet50"), title="torchvision:resnet50")
    assert reading.text.splitlines()[3:] == [
        "block bottleneck(w, s=1) {",
        "  residual<",
        "    conv1-{w}; conv3-{w}/{s}; conv1-{4*w}(act=none)",
        "  | if in.c != 4*w { downsample: [ conv1-{4*w}/{s}(act=none) ] }",
        "  >",
        "  relu",
        "}",
        "conv7-64/2; maxpool3/2(pad=same)",
        "layer1: [ bottleneck(64) x3 ] => 256x56x56",
        "for (i, n) in enumerate([3, 5, 2]) {",
        "  layer{i + 2}: [ bottleneck(128*2**i, s=2); bottleneck(128*2**i) x{n} ]",
        "}",
        "adaptive_avgpool1",
        "fc: fc-1000",
        "expect params == 25_557_032",
        "expect macs == 4_089_184_256",
    ]
    assert reading.text.startswith('arch resnet50 "torchvision:resnet50"\ninput 3x224x224(')
    assert (reading.nodes, reading.blocks) == (175, 1)


def test_the_same_text_every_time() -> None:
    made = graph_of("resnet18")
    assert read_graph(made).text == read_graph(ArchGraph.from_json(made.to_json())).text == read_graph(graph_of("resnet18")).text


HEAD = "input 8x16x16\n"


def scope(w: int) -> str:
    return f"{{ conv1-{w}; conv3-{2 * w}(pad=1); bn; conv1-{w // 4}; relu; tanh; lrn; conv3-{w}(pad=1); sigmoid }}"


def test_numbers_become_expressions() -> None:
    widths = {"x": 8, "y": 16, "z": 48}
    assert body(HEAD + "".join(f"{name}: {scope(w)}\n" for name, w in widths.items())).splitlines() == [
        "default conv(pad=same)",
        "block unit(w) {",
        "  conv1-{w}; conv3-{2*w}(norm=bn); conv1-{w//4}(act=relu); tanh; lrn; conv3-{w}(act=sigmoid)",
        "}",
        "x: unit(8)",
        "y: unit(16) => 16x16x16",
        "z: unit(48) => 48x16x16",
    ]
    in_a_loop = body(HEAD + "".join(f"a{w}: {scope(w)}\n" for w in (8, 16, 48, 20, 12)))
    assert in_a_loop.splitlines()[-1] == "for w in [8, 16, 48, 20, 12] { a{w}: unit(w) }"


def test_the_incoming_channels_need_no_parameter() -> None:
    text = (
        HEAD
        + "stem: conv1-4\n"
        + "".join(
            f"{name}: {{ conv3-{{in.c}}(pad=1, groups=in.c, bias=no); bn; conv1-{{2*in.c}}; bn; relu6; tanh }}\n"
            for name in ("x", "y", "z")
        )
    )
    assert "block" in body(text) and "groups=in.c" in body(text) and "conv1-{2*in.c}" in body(text)
    assert "()" in body(text).partition("{")[0]


def test_tensors_from_outside_are_parameters() -> None:
    skip = "{{ conv3-4(pad=1); bn; relu; tanh; conv3-8(pad=1); bn; add<. | @{0}>; relu }}\n"
    text = HEAD + "a: relu\nb: tanh\nx: " + skip.format("a") + "y: " + skip.format("b") + "z: " + skip.format("a")
    found = body(text)
    assert "(skip)" in found and "(@a)" in found and "(@b)" in found


def test_repeats_and_loops() -> None:
    assert body(HEAD + "f: [ " + "conv3-8(pad=1); relu; tanh; " * 4 + "]").count("x4") == 1
    assert "for i in range(6)" in body(HEAD + "\n".join(f"step{i}: {{ conv3-8(pad=1); bn; relu; tanh }}" for i in range(6)))
    rows = body(HEAD + "\n".join(f"step{i}: {{ conv3-{w}(pad=1); bn; relu; tanh }}" for i, w in enumerate((8, 12, 8, 20, 8))))
    assert "for (i, w) in enumerate([8, 12, 8, 20, 8])" in rows


def test_what_shares_weights_comes_back() -> None:
    read(HEAD + "share tower { conv3-8(pad=1); relu }\na: { tower }\nb: { tower }\nconcat<@a | @b>")
    text = HEAD + "".join(
        f"g{i}: {{ share mlp {{ fc1: channel_fc-4; relu; fc2: channel_fc-8 }}\nadd<mlp | relu; mlp>; sigmoid; tanh }}\n" for i in range(3)
    )
    assert "block" in body(text) and body(text).count("share mlp") == 1


def test_training_only_heads_and_several_outputs_come_back() -> None:
    text = HEAD + "stem: conv3-8(pad=1)\noutput side(when=training): relu; fc-4\nrelu\noutput a: @stem; fc-2\nfc-3"
    assert "when=training" in read(text).text


def test_open_sizes_and_preprocessing_come_back() -> None:
    assert "input 3xHxW(mean=" in read("input 3xHxW(mean=[0.1, 0.2, 0.3])\nconv3-8/2(pad=1); relu").text


def test_a_name_that_means_the_tensor_after_the_activation_is_not_joined() -> None:
    assert "act=" not in read(HEAD + "c: conv3-8(pad=1)\nrelu\nadd<. | @c>").text


def test_what_cannot_be_written_is_refused() -> None:
    made = graph(HEAD + "conv1-8")
    made.add(Node("again", "conv", made["conv1"].attrs, (8, 16, 16), NOWHERE, key="conv1"), ["conv1"])
    with pytest.raises(UnreadableError, match="the weights of again are those of conv1"):
        read_graph(made)


def test_names_and_depths_that_no_text_has_are_refused() -> None:
    made = graph(HEAD + "conv1-8; relu; conv1-8")
    for name, why in {"class": "keyword of Python", "a b": "did not expect `b`", "\u00e9": "cannot read the name"}.items():
        with pytest.raises(UnreadableError, match=why):
            read_graph(renamed(made, {node.name: name if node.name == "relu1" else node.name for node in made}))
    deep = {node.name: node.name if node.is_input else "a." * 1000 + node.name for node in made}
    with pytest.raises(UnreadableError, match="scopes nest 1000 deep"):
        read_graph(renamed(made, deep))


def test_another_network_is_told_apart() -> None:
    made = graph(HEAD + "conv1-8; relu")
    assert difference(made, HEAD + "conv3-8(pad=1); relu") == "the text is another network"
    assert difference(made, HEAD + "conv1-8; tanh") == "relu1 (relu) is tanh1 (tanh) in the text"
    assert difference(made, HEAD + "conv1-8; relu\nexpect params == 1")
    assert difference(made, HEAD + "conv1-8; relu; relu")
    assert difference(made, HEAD + "conv1-8; relu") == ""


def test_classes_name_blocks() -> None:
    made = graph(HEAD + "".join(f"p{i}: {{ conv3-8(pad=1); bn; relu; tanh; lrn }}\n" for i in range(3)))
    kinds = {f"p{i}": "ConvBNBlock" for i in range(3)}
    assert "block conv_bn_block()" in read_graph(made, kinds=kinds).text


def test_joins_of_growing_lists_are_a_chain() -> None:
    """As in torchvision's DenseNet, where every layer joins what all layers before it have made."""
    unit = "{{ {0}n: bn; a: relu; c: conv3-4(pad=1); b: conv3-4(pad=1) }}\n"
    text = HEAD + "g: {\nl1: " + unit.format("")
    for at in range(2, 7):
        text += f"l{at}: " + unit.format(
            f"concat<@.input | {' | '.join(f'@l{i}' for i in range(1, at))}>; ".replace("concat<", "j: concat<")
        )
    text += f"concat<@.input | {' | '.join(f'@l{i}' for i in range(1, 7))}>\n}}"
    made = graph(text)
    reading = read_graph(made, free=True)
    assert reading.form == "blocks"
    assert "for i in range(6) { concat<. | l{i + 1}: " in reading.text
    again = graph(reading.text)
    assert [(reading.names[node.name], node.op, node.shape) for node in made] == [(node.name, node.op, node.shape) for node in again]
    assert {node.key for node in again if node.operator.weights(node.call)} == {
        node.key for node in made if not node.is_input and node.operator.weights(node.call)
    }


def test_names_without_weights_are_free() -> None:
    made = graph(HEAD + "stem: { conv: conv3-8(pad=1); bn: bn; activation: relu }\npool: maxpool\nhead: fc-3")
    reading = read_graph(made, free=True)
    assert "activation" not in reading.text and "pool:" not in reading.text and "head: fc-3" in reading.text
    assert reading.names["stem.activation"] == "stem.relu1" and reading.names["stem.conv"] == "stem.conv"


def test_what_stands_in_front_of_a_numbered_scope_leaves_it() -> None:
    scope = "s{0}: {{ shuffle: channel_shuffle(2); 0: conv3-8(pad=1); 1: bn; 2: relu }}\n"
    reading = read_graph(graph(HEAD + scope.format(1) + "tanh\n" + scope.format(2)), free=True)
    assert "channel_shuffle(2)\ns2: [ conv3-8(pad=same, norm=bn, act=relu) ]" in reading.text
    assert reading.names["s2.shuffle"] == "channel_shuffle2" and reading.names["s2.0"] == "s2.0"


def test_sizes_are_no_defaults_of_a_file() -> None:
    assert "groups=8" not in body(HEAD + "conv3-8(groups=8); relu; " * 6).splitlines()[0]


def anonymous(made: ArchGraph) -> ArchGraph:
    """Return a graph with names that mean nothing."""
    return renamed(made, {node.name: node.name if node.is_input else f"n{at}" for at, node in enumerate(made)})


@pytest.mark.parametrize("name", ["resnet50", "vit_b_16", "mobilenet_v2", "unet", "squeezenet1_0", "deeplabv3_resnet50"])
def test_a_graph_without_names_comes_back_up_to_names(name: str) -> None:
    made = anonymous(graph_of(name))
    reading = read_nameless(made)
    assert reading.form == "blocks"
    assert graph(reading.text).same_as(renamed(made, reading.names))
    assert reading.lines <= 1.3 * own_lines(ARCHS / f"{name}.arch")


@pytest.mark.slow
def test_all_graphs_without_names_come_back_up_to_names() -> None:
    for path in sorted(ARCHS.glob("*.arch")):
        made = graph_of(path.stem)
        if flat(made):
            reading = read_nameless(anonymous(made))
            assert reading.form == "blocks", path.stem
            assert graph(reading.text).same_as(renamed(anonymous(made), reading.names)), path.stem


def test_blocks_without_names_are_called_what_they_are() -> None:
    text = read_nameless(anonymous(graph_of("resnet50"))).text
    assert "block bottleneck(w, s=1) {" in text and "bottleneck(256) x5" in text


@settings(relaxed, max_examples=25)
@given(programs())
def test_random_programs_come_back(text: str) -> None:
    made = checked(text).graph
    reading = read_graph(made)
    assert reading.form != "expanded"
    assert difference(made, reading.text) == ""
    if flat(made):
        nameless = read_nameless(anonymous(made))
        assert graph(nameless.text).same_as(renamed(anonymous(made), nameless.names))


def test_own_lines_count_what_a_network_uses(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text('# a comment\nuse "std/residual.arch"\n\ninput 8x8x8\nplain(8)\n')
    assert own_lines(path) == 3 + 1 + 3  # the file; the default and the block of the other


def test_statements_that_differ_in_a_text_are_no_repetition() -> None:
    graph = check_text('input 8x4x6\nrearrange("c h w -> h c w")\nrearrange("c h w -> w c h")').graph
    read = read_graph(graph)
    assert read.form == "blocks" and " x2" not in read.text
