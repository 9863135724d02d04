"""Receptive fields against what values depend on: inputs are changed row by row, and it is seen which outputs change.

All weights and inputs are positive, so that nothing cancels; a maximum, which follows one value at a time, is replaced by a sum.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given, note
from hypothesis import strategies as st
from torch import Tensor, fx, nn

from archc import Network, load, loads
from archc.compiler.analysis import receptive
from archc.compiler.analysis.receptive import Axis, Field, network_field, receptive_fields
from archc.dsl.errors import ArchError
from archc.tests.support import ROOT
from archc.tests.support.programs import fewer
from archc.tests.support.work import work

Seen = list[tuple[int, int] | None]  # for every output position, the first and the last input position that it depends on


class _Sum(nn.Module):
    """The sum of the windows of a max pool."""

    def __init__(self, pool: Any) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        pool, axes = self.pool, x.dim() - 2
        kernel, stride, pad, dilation = pool.kernel_size, pool.stride, pool.padding, pool.dilation
        sizes = pool(x).shape[2:]
        flat = []
        for axis in reversed(range(axes)):
            needed = (sizes[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1
            flat += [pad[axis], needed - x.shape[2 + axis] - pad[axis]]
        conv = (nn.functional.conv1d, nn.functional.conv2d)[axes - 1]
        ones = torch.ones(x.shape[1], 1, *kernel, dtype=x.dtype)
        return conv(nn.functional.pad(x, flat), ones, stride=stride, dilation=dilation, groups=x.shape[1])


class _Values(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if "arch" in n.meta:
            self.found[n.meta["arch"]["name"]] = result
        return result


def dependence(net: Network, axis: int) -> dict[str, Seen]:
    """What every position along an axis of every node depends on, along the same axis of the input."""
    torch.manual_seed(0)
    module = net.lower().double().eval()
    for path, child in list(module.named_modules()):
        if isinstance(child, (nn.MaxPool1d, nn.MaxPool2d)):
            module.set_submodule(path, _Sum(child))
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.abs_().add_(0.1)
        [node] = net.graph.inputs
        x = torch.ones(1 + node.shape[1 + axis], *node.shape, dtype=torch.float64)  # the first is as it is
        for row in range(node.shape[1 + axis]):
            x[1 + row].select(1 + axis, row).add_(1)
        interpreter = _Values(module)
        interpreter.run(x)
    found = {}
    for name, values in interpreter.found.items():
        if values.dim() == x.dim():
            changed = (values[1:] - values[:1]).abs() > 1e-13 * values[:1].abs()
            rows = [line.nonzero().flatten() for line in changed.movedim(2 + axis, 0).flatten(2).any(dim=2)]
            found[name] = [(int(line[0]), int(line[-1])) if len(line) else None for line in rows]
    return found


def assert_exact(net: Network) -> int:
    """Compare every node; returns of how many outputs the whole span is seen, as no padding is in its way."""
    fields = receptive_fields(net.graph)
    sizes = [size for size in net.graph.inputs[0].shape[1:] if isinstance(size, int)]
    bounds = [_beyond(net, fields, axis, size) for axis, size in enumerate(sizes)]
    exact = 0
    for axis in range(len(sizes)):
        for name, seen in dependence(net, axis).items():
            claimed = fields[name].axes
            if claimed[axis].whole:
                continue
            clear = [_clear(along, net[name][1 + i], bounds[i]) for i, along in enumerate(claimed)]
            inside = all(any(positions) for i, positions in enumerate(clear) if i != axis)
            for output, found in enumerate(seen):
                span = claimed[axis].at(output)
                if inside and clear[axis][output]:
                    assert found == span, (name, axis, output)
                    exact += 1
                elif found is not None:
                    assert span is not None, (name, axis, output)
                    assert span[0] <= found[0] <= found[1] <= span[1], (name, axis, output)
            most = max((found[1] - found[0] + 1 for found in seen if found is not None), default=0)
            assert most <= claimed[axis].size, (name, axis)
    return exact


def _clear(axis: Axis, count: Any, bounds: tuple[float, float]) -> list[bool]:
    """Whether no padding is in the way of what each output sees."""
    spans = [axis.at(output) for output in range(count)]
    return [axis.whole or (span is not None and bounds[0] < span[0] <= span[1] < bounds[1]) for span in spans]


def _beyond(net: Network, fields: dict[str, Field], axis: int, size: int) -> tuple[float, float]:
    """The last pixel that padding before a map stands for, and the first that padding after one does."""
    low, high = -1.0, float(size)
    for node in net.graph:
        seen = fields[node.name].axes[axis : axis + 1] if len(node.shape) > 1 else ()
        for along in seen:
            if not along.listed and not along.whole and along.advance:
                count = node.shape[1 + axis]
                assert isinstance(count, int)
                before = [float(span[1]) for k in range(1, len(along.spans) + 1) if (span := along.at(-k))]
                after = [float(span[0]) for k in range(len(along.spans)) if (span := along.at(count + k))]
                low, high = max([low, *before]), min([high, *after])
    return low, high


@pytest.mark.parametrize(
    ("name", "node", "size", "jump"),
    [
        # Araujo, Norris & Sim 2019 for AlexNet and VGG-16; ResNet-50 in torchvision's form by the same recurrence.
        ("alexnet", "pool5", 195, 32),
        ("vgg16", "features.30", 212, 32),
        ("resnet50", "layer4.2.relu3", 427, 32),
        ("resnet50_v1", "layer4.2.relu3", 483, 32),
        ("lenet5", "c5", 32, 4),
        ("lenet5", "s2", 6, 2),
    ],
)
def test_known_receptive_fields(name: str, node: str, size: int, jump: int) -> None:
    field = receptive_fields(load(ROOT / f"archs/{name}.arch").graph)[node]
    assert {(axis.size, axis.jump) for axis in field.axes} == {(size, jump)}
    assert not field.misaligned


def test_nothing_is_finite_behind_global_pooling() -> None:
    fields = receptive_fields(load(ROOT / "archs/resnet50.arch").graph)
    assert str(fields["adaptive_avgpool1"]) == str(fields["fc"]) == "inf"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("conv3-2(pad=1); conv5-2/2(pad=1); maxpool3/2", "11"),
        ("conv3-2(dilation=2, pad=2); avgpool2; conv1x3-2", "6x10"),
        ("concat<conv1-2 | conv3-2(pad=1); conv3-2(pad=1) | maxpool3/1(pad=1)>; conv3-2", "7"),
        ("residual<conv3-1(pad=1); conv3-1(pad=1)>; conv2-1/2", "6"),
        ("conv3-2/2; convt2-2/2; conv3-1", "5"),
        ("conv3-2; convt1-1/2; conv3-1", "4"),  # every other output of convt1 sees nothing
        ("convt2-1/2(dilation=3); conv2-1", "3"),  # later outputs see earlier inputs
        ("maxpool2; upsample2; conv3-1", "4"),
        ("maxpool4; upsample4; conv3-1", "8"),
        ("maxpool4; upsample(size=[24, 26]); conv3-1", "8"),
        ("maxpool2; upsample(scale=2, mode=bilinear); conv3-1", "6"),
        ("maxpool2; upsample(scale=3, mode=bilinear)", "4"),
        ("maxpool2; upsample(size=[24, 26], mode=bilinear, align_corners=yes)", "4"),
        ("conv3-1/2; upsample(size=[24, 26])", "3"),
        ("pad(h=[2, 1], w=1); conv3-1; crop(size=[12, 12]); conv3-1", "5"),
        ("convt3-2/2(pad=1, out_pad=1); maxpool2; adaptive_avgpool(8)", "4x5"),
        ("adaptive_avgpool(5); upsample(size=[24, 26]); conv3-1", "11"),
        ("concat<. | adaptive_avgpool1; upsample(size=[24, 26])>", "inf"),
        ("mul<. | adaptive_avgpool1; sigmoid>; conv3-1", "inf"),
        ("mul<. | conv24x26-1>; conv3-1", "24x26"),
        ("adaptive_avgpool([24, 1]); conv3x1-1", "3xinf"),
        ("concat(axis=h)<conv3-1(pad=1) | conv1-1>", "3"),
        ("lrn(form=spatial, size=5, alpha=1)", "5"),
        ("conv7x8-1; flatten", "inf"),
        # a U-Net with and without crops, an FPN, FCN's heads, DeepLab's pyramid without its pooling
        ("a: conv3-2; conv3-2; maxpool2; conv3-2; conv3-2; convt2-2/2; concat<. | @a; crop([12, 14])>; conv3-1; conv3-1", "18"),
        ("a: conv3-2(pad=1); maxpool2; b: conv3-2(pad=1); maxpool2; conv3-2(pad=1); upsample2; add<. | @b; crop([12, 12])>", "18"),
        ("a: conv3-2/2(pad=1); b: conv3-2/2(pad=1); upsample2; add<. | @a; pad(w=[0, 1])>; conv3-2(pad=1)", "11"),
        ("a: maxpool4; b: maxpool2; convt4-1/2(pad=1); add<. | @a; conv1-1>; convt8-1/4(pad=2)", "24"),
        ("maxpool4; concat<conv1-1 | conv3-1(pad=2, dilation=2) | conv1-1>; conv1-1; upsample(size=[24, 26], mode=bilinear)", "24"),
    ],
)
def test_fields_of_well_known_forms(text: str, size: str) -> None:
    net = loads(f"input 1x24x26\n{text}")
    last = list(net.graph)[-1]
    field = receptive_fields(net.graph)[last.name]
    assert str(field) == size
    assert_exact(net)
    for axis, along in enumerate(field.axes if len(last.shape) > 1 else ()):
        widest = max(seen[1] - seen[0] + 1 for seen in dependence(net, axis)[last.name] if seen is not None)
        assert widest == (24 + 2 * axis if along.whole else along.size)


def test_a_network_is_as_wide_as_its_widest_map() -> None:
    def of(name: str) -> str:
        graph = load(ROOT / f"archs/{name}.arch").graph
        return str(network_field(graph, receptive_fields(graph)))

    assert [of(name) for name in ("resnet18", "lenet5", "vgg16", "unet", "fcn_resnet50")] == ["435", "32", "212", "204", "451"]
    assert [of(name) for name in ("efficientnet_b0", "mobilenet_v3_large", "regnet_y_400mf", "deeplabv3_resnet50")] == ["inf"] * 4


MOVED = [
    *("slice(2, 20, axis=h)", "slice(1, in.w, step=3, axis=w)", "slice(0, in.h, step=2, axis=h); conv3-1(pad=1)"),
    *("roll(h=-3, w=2)", "conv3-1; roll(w=5); conv3-1", "flip(axis=h); conv3-1", "gather([3, 0, 7, 7], axis=w); conv2-1"),
    *("space_to_depth2; conv3-1", "conv1-4; pixel_shuffle2; conv3-1", "unfold3(pad=1); conv1-1", "unfold2/2(dilation=2)"),
    *("adaptive_avgpool([1, 26]); expand(h=24)", "transpose(h, w); conv3-1", "transpose(c, w)", "upsample2(mode=bicubic)"),
    *("maxpool3; upsample(size=[24, 26], mode=bicubic)", "upsample(size=[31, 7], mode=bicubic, align_corners=yes); conv2-1"),
    *("upsample(size=[12, 31], mode=bicubic, antialias=yes); conv2-1", "upsample(size=[9, 52], mode=bilinear, antialias=yes)"),
]


@pytest.mark.parametrize("text", MOVED)
def test_fields_of_operators_that_move_values(text: str) -> None:
    net = loads(f"input 1x24x26\n{text}")
    whole = all(along.whole for along in receptive_fields(net.graph)[list(net.graph)[-1].name].axes)
    assert assert_exact(net) or whole


@pytest.mark.parametrize(
    "text",
    [
        "slice(1, 30, step=2, axis=w); conv3-1",
        "unfold3(pad=1)",
        "roll(w=3); gather([9, 1, 4], axis=w)",
        "lstm-3",
        "gru-3",
        "upsample(size=24, mode=linear)",
    ],
)
def test_fields_of_operators_that_move_values_of_a_row(text: str) -> None:
    assert_exact(loads(f"input 1x32\n{text}"))


@st.composite
def programs(draw: st.DrawFn) -> str:
    axes = draw(st.sampled_from([1, 2]))
    size = draw(st.integers(12, 40))

    def number(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    def up() -> str:
        where = "" if axes == 1 or draw(st.booleans()) else f", mode=bilinear, align_corners={draw(st.sampled_from(['yes', 'no']))}"
        scale = f"scale={number(1, 4)}" if draw(st.booleans()) else f"size={number(5, 48)}"
        return f"upsample({scale}{where})"

    def item(depth: int = 1) -> str:
        kind = number(0, 11)
        if kind <= 1:
            return f"conv{number(1, 4)}-1/{number(1, 3)}(pad={number(0, 2)}, dilation={number(1, 2)})"
        if kind == 2:
            k = number(1, 4)
            options = f"pad={number(0, k // 2)}, dilation={number(1, 2)}, ceil={draw(st.sampled_from(['yes', 'no']))}"
            return f"maxpool{k}/{number(1, 4)}({options})"
        if kind == 3:
            return f"avgpool{number(1, 4)}/{number(1, 4)}"
        if kind == 4:
            s, d = number(1, 3), number(1, 3)
            return f"convt{number(1, 4)}-1/{s}(pad={number(0, 1)}, dilation={d}, out_pad={number(0, max(s, d) - 1)})"
        if kind <= 6:
            return up()
        if kind == 7:
            return f"adaptive_avgpool({number(2, 12)})"
        if kind == 8:
            return draw(
                st.sampled_from(["pad(w=[2, 1])", "crop(size=9)", "relu", "lrn(form=spatial, size=3, alpha=1)" if axes == 2 else "relu"])
            )
        if not depth:
            return "conv3-1(pad=1)"
        if kind == 9:
            return _skip(item(0), axes)
        if kind == 10:
            return draw(
                st.sampled_from(["concat(axis=w)<conv3-1(pad=1) | conv1-1>", "{ conv1-1; mul<. | conv{in.w}-1> }" if axes == 1 else "relu"])
            )
        size_ = number(4, 20)
        return f"add<{item(0)}; conv1-1; upsample(size={size_}) | {item(0)}; conv1-1; upsample(size={size_})>"

    items = [item() for _ in range(number(1, 5))]
    return f"input 1x{size}" + f"x{number(12, 40)}" * (axes - 1) + "\n" + "\n".join(items) + "\n"


def _skip(body: str, axes: int) -> str:
    """A branch brought back to the size of its input, and added to it."""
    sizes = "[w]" if axes == 1 else "[h, w]"
    names = "let w = in.w" if axes == 1 else "let h = in.h; let w = in.w"
    return f"{{ conv1-1; {names}; residual<{body}; conv1-1; upsample(size={sizes})> }}"


@fewer
@given(programs())
def test_fields_are_what_outputs_depend_on(text: str) -> None:
    note(text)
    try:
        net = loads(text)
    except ArchError:
        return
    assert_exact(net)


@fewer
@given(programs())
def test_long_patterns_are_bounded_from_above(text: str) -> None:
    """What is not worked out span by span is never too small."""
    note(text)
    try:
        net = loads(text)
    except ArchError:
        return
    exact = receptive_fields(net.graph)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(receptive, "FEWEST", 1)
        patch.setattr(receptive, "WORK", 0)
        bounds = receptive_fields(net.graph)
    for node in net.graph:
        assert all(a.whole or a.size <= b.size for a, b in zip(exact[node.name].axes, bounds[node.name].axes, strict=True)), node.name


def test_long_patterns_take_little_work() -> None:
    sizes = "; ".join(f"upsample(size={size}); conv3-1" for size in (99991, 120011, 89989, 130003) * 20)
    graph = loads(f"input 1x100003\n{sizes}; maxpool4096/4096").graph
    assert not receptive_fields(graph)["maxpool1"].whole
    assert work(lambda: receptive_fields(graph)) < 1_000_000


def test_a_receptive_field_in_three_numbers() -> None:
    """Reach, step and offset, as the paper has them for windows; of patterns the widest window and the mean place."""
    graph = loads("input 1x12x12\nconv3-1/2(pad=1); convt2-1/2; upsample2; upsample(scale=2, mode=bilinear); adaptive_avgpool(5)").graph
    along = [node.operator.receptive_field(node.call, node.shape)[0] for node in graph if not node.is_input]
    fields = [field for field in along if field is not None]
    assert [(f.reach, f.step, f.offset) for f in fields[:4]] == [
        (3, 2, 0),
        (1, Fraction(1, 2), Fraction(-1, 4)),
        (1, Fraction(1, 2), Fraction(-1, 4)),
        (2, Fraction(1, 2), Fraction(-1, 4)),
    ]
    assert (fields[4].reach, fields[4].step) == (11, Fraction(48, 5))
