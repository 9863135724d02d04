"""The lowered network as PyTorch's users take modules: blocks with hooks, calls, slices, copies, and the tools around them."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchinfo
from torch import Tensor, fx, nn

from archc import ArchError, load, loads
from archc.compiler.analysis.regions import regions
from archc.compiler.backends.torch.arch_module import ArchModule, InputError
from archc.compiler.backends.torch.blocks import Chain
from archc.compiler.backends.torch.lower import lower
from archc.compiler.backends.torch.run import DTYPES, compile_and_run
from archc.tests.support import FILES, ROOT
from archc.tests.support.pytorch import stirred, torchvision_models

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def resnet18() -> ArchModule:
    torch.manual_seed(0)
    module = load(ROOT / "archs/resnet18.arch").lower()
    module.load_state_dict(stirred(module))
    return module.eval()


# ---- the mode


def test_a_module_comes_in_training_mode_as_from_every_constructor() -> None:
    text = "input 3x8x8\nconv3-4; bn; block1: { relu; dropout(0.5) }\noutput side(when=training): FC-2\noutput top: FC-5\n"
    module = loads(text).lower()
    assert all(part.training for part in module.modules())
    assert set(module(torch.randn(2, 3, 8, 8))) == {"side", "top"}
    assert not any(part.training for part in module.eval().modules())
    assert isinstance(module(torch.randn(2, 3, 8, 8)), Tensor)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_statistics_are_those_of_the_start_after_a_run(level: int) -> None:
    graph = loads("input 3x8x8\nconv3-4(norm=bn, act=relu); FC-2\n").graph
    state = compile_and_run(graph, "cpu", batch=2, level=level).module.state_dict()
    assert state["bn1.num_batches_tracked"] == 0 and not state["bn1.running_mean"].any()
    assert set(DTYPES) == {"float32", "bfloat16", "float16"}


# ---- blocks


def test_hooks_of_blocks_fire() -> None:
    module = resnet18()
    fired: list[tuple[str, tuple[int, ...]]] = []
    for name, part in (("layer4", module.layer4), ("layer4.1", module.layer4[1]), ("downsample", module.layer4[0].downsample)):
        part.register_forward_hook(lambda _, args, out, name=name: fired.append((name, tuple(out.shape))))
        part.register_full_backward_hook(lambda _, given, taken, name=name: fired.append((f"{name} back", tuple(taken[0].shape))))
    module(X).sum().backward()
    shape = (2, 512, 2, 2)
    assert fired[:3] == [("downsample", shape), ("layer4.1", shape), ("layer4", shape)]
    assert sorted(fired[3:]) == [("downsample back", shape), ("layer4 back", shape), ("layer4.1 back", shape)]


def test_blocks_run_by_themselves() -> None:
    module = resnet18()
    with torch.no_grad():
        expected = module(X)
        by_hand = nn.Sequential(*list(module.children())[:-1])(X)
        assert torch.equal(module.fc(by_hand.flatten(1)), expected)
        x = torch.randn(1, 256, 4, 4)
        assert torch.equal(module.layer4(x), module.layer4[1](module.layer4[0](x)))
        assert torch.equal(module.layer4[:1](x), module.layer4[0](x))
    assert isinstance(module.layer4, nn.Sequential) and len(module.layer4) == 2
    assert [type(part).__name__ for part in module.layer4] == ["basic", "basic"]
    assert type(module.layer1[0]) is type(module.layer3[1])  # compiled once


def test_the_first_layers_of_vgg_are_a_slice() -> None:
    module = load(ROOT / "archs/vgg11.arch").lower().eval()
    taken: list[Tensor] = []
    module.features[8].register_forward_hook(lambda _, args, out: taken.append(out))
    with torch.no_grad():
        module.features(X)
        assert torch.equal(module.features[:9](X), taken[0])
    assert module.classifier[6].out_features == 1000 and len(module.classifier) == 7
    module.classifier[6] = nn.Linear(4096, 10)
    assert module.classifier(torch.randn(2, 512 * 7 * 7)).shape == (2, 10)


@pytest.mark.parametrize(("name", "values"), [("vgg11", 25088), ("alexnet_torchvision", 9216)])
def test_the_classifier_of_vgg_is_changed_as_torchvisions(name: str, values: int) -> None:
    module = load(ROOT / f"archs/{name}.arch").lower().eval()
    x = torch.randn(1, 3, 224, 224)
    assert isinstance(module.classifier, Chain)
    with torch.no_grad():
        expected = module.classifier[:-1](module.adaptive_avgpool1(module.features(x)).flatten(1)) if name != "vgg11" else None
        module.classifier = nn.Sequential(*list(module.classifier.children())[:-1])
        features = module(x)
        assert features.shape == (1, 4096) and (expected is None or torch.equal(features, expected))
        del module.classifier[-1]
        assert module(x).shape == (1, 4096)
        module.classifier = nn.Sequential(nn.Linear(values, 10))
        assert module(x).shape == (1, 10)


def test_a_flatten_that_is_brought_runs_before_the_scopes_that_it_is_first_in() -> None:
    module = loads("input 3x8x8\nconv3-4\na: { b: [ FC-4; relu ]; FC-2 }\n").lower()
    assert isinstance(module.a.b, Chain) and "flatten" in module.code and "flatten" not in module.a.code
    assert module.a(torch.randn(2, 144)).shape == (2, 2)
    module = loads("share t { FC-4; relu }\ninput x: 3x8x8\ninput y: 3x8x8\nadd<@x; t | @y; t>\n").lower()
    assert module(torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)).shape == (2, 4)
    assert module.t(torch.randn(2, 192)).shape == (2, 4)


def test_numbers_with_a_gap_are_indices() -> None:
    module = load(ROOT / "archs/convnext_tiny.arch").lower().eval()
    assert module.classifier[-1] is module.classifier[2] and len(module.classifier[1:]) == 1
    module.classifier[2] = nn.Linear(768, 10)
    assert module(torch.randn(1, 3, 64, 64)).shape == (1, 10)
    with pytest.raises(IndexError, match="no module has the number 1; the numbers are 0, 2"):
        module.classifier[1]


def test_what_nobody_uses_of_a_training_path_is_of_training() -> None:
    module = loads("input 3x32x32\noutput main: conv3-2\na: conv3-8\noutput side(when=training): @a\nrelu\n").lower()
    x = torch.randn(1, 3, 32, 32)
    assert set(module(x)) == {"main", "side"} and module.eval()(x).shape == (1, 2, 30, 30)


def test_several_tensors_enter_and_leave() -> None:
    module = loads("input 3x8x8\nstem: conv1-4; conv1-4\nl: { a: conv1-4; relu; b: conv1-4; add<. | @stem> }\nconcat<@l.a | .>\n").lower()
    x = torch.randn(1, 4, 8, 8)
    first, second = module.l(x, x)
    assert torch.equal(first, module.l.a(x)) and second.shape == (1, 4, 8, 8)
    assert "l = self.l(conv2, stem)" in module.code
    net = load(ROOT / "archs/unet.arch", inputs="1x188x188")
    up = net.lower().dec4
    assert up(torch.randn(1, 1024, 4, 4), torch.randn(1, 512, 16, 16)).shape == (1, 512, 4, 4)  # what goes up, then the skip


def test_a_shared_part_is_one_module_called_twice() -> None:
    text = "share tower { conv3-8; relu }\ninput left: 3x8x8\ninput right: 3x8x8\nconcat<@left; tower | @right; tower>\n"
    module = loads(text).lower()
    calls: list[Any] = []
    module.tower.register_forward_hook(lambda _, args, out: calls.append(out))
    module(torch.randn(1, 3, 8, 8), torch.randn(1, 3, 8, 8))
    assert len(calls) == 2 and list(module.state_dict()) == ["tower.conv1.weight", "tower.conv1.bias"]


@pytest.mark.parametrize(
    ("text", "scope", "reason"),
    [
        ("l: { a: conv1-4; conv1-4 }\noutput side(when=training): { @l.a; FC-2 }\noutput top: FC-5\n", "l", "in training"),
        ("l: b x2\n", "l.1", "uses the weights of t.conv1"),
    ],
)
def test_a_scope_that_cannot_be_called_says_why(text: str, scope: str, reason: str) -> None:
    net = loads("share t { conv1-3; relu }\nblock b() { t; conv1-3 }\ninput 3x8x8\n" + text)
    module = net.lower()
    module(torch.randn(2, 3, 8, 8))
    with pytest.raises(NotImplementedError, match=f"^{scope} cannot be called by itself: .*{reason}.*; call its members"):
        module.get_submodule(scope)(torch.randn(2, 3, 8, 8))


@pytest.mark.slow
def test_every_scope_of_the_zoo_is_a_module() -> None:
    for path in FILES:
        reasons = regions(load(path).graph).reasons
        # In training a classifier is fed out of the middle of these.
        assert set(reasons) == ({"backbone"} if path.stem in ("fcn_resnet50", "deeplabv3_resnet50") else set()), path.stem


def test_a_frozen_block_within_a_network_in_training() -> None:
    module = load(ROOT / "archs/googlenet_torchvision.arch").lower()
    module.inception4a.eval()
    module.aux1.eval()
    assert set(module(torch.randn(2, 3, 224, 224))) == {"output", "aux1", "aux2"}


def test_nodes_are_called_as_in_the_file() -> None:
    module = loads("input 3x8x8\nb: [ conv1-3 x10; add<conv1-3 | conv1-3 | .> ]\nadd<. | . | .>\n").lower()
    assert [node.name for node in module.graph.nodes] == ["input_1", "b", "add1_part", "add1", "output"]
    names = [node.meta["arch"]["name"] for node in module.b.graph.nodes if "arch" in node.meta]
    assert [name for name in names if name == "b.12"] and module.b.graph.output_node().args[0].name == "_12"
    traced = fx.symbolic_trace(resnet18())
    assert "layer4_1_conv2" in {node.name for node in traced.graph.nodes}


def test_where_a_node_comes_from() -> None:
    for node in resnet18().layer4[1].graph.nodes:
        if node.op == "call_module":
            assert node.meta["arch"]["name"] == f"layer4.1.{node.target}"
            assert "residual.arch" in node.meta["stack_trace"]


# ---- copies


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
    "save": lambda module: _saved(module),
}


def _saved(module: nn.Module) -> Any:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("way", COPIES.values(), ids=COPIES.keys())
@pytest.mark.parametrize("level", [0, 1])
def test_copies_are_the_same_network(way: Callable[[Any], Any], level: int) -> None:
    text = "input 3x8x8\nl: { conv3-4; bn; relu } x2\nm: [ conv1-4; relu ]\noutput side(when=training): FC-2\noutput top: FC-5\n"
    module = lower(loads(text).graph, level)
    other = way(module)
    x = torch.randn(2, 3, 8, 8)
    for mode in (True, False):
        module.train(mode), other.train(mode)
        assert other.code == module.code and type(other) is type(module) and other.graph is not module.graph
        ours, theirs = module(x), other(x)
        assert all(torch.equal(ours[key], theirs[key]) for key in ours) if mode else torch.equal(ours, theirs)
    assert [node.meta for node in other.l[1].graph.nodes] == [node.meta for node in module.l[1].graph.nodes]
    assert not {id(p) for p in module.parameters()} & {id(p) for p in other.parameters()}
    with torch.no_grad():
        other.l[0].conv1.weight.zero_()
    assert not torch.equal(module.eval()(x), other.eval()(x))


def test_a_graph_that_is_edited_changes_one_block() -> None:
    module = resnet18()
    block, other = module.layer1[0], module.layer1[1]
    x = torch.ones(1, 64, 4, 4)
    before = other(x)
    for node in block.graph.nodes:
        if node.target == "relu2":
            node.replace_all_uses_with(node.args[0])
            block.graph.erase_node(node)
    block.recompile()
    assert "relu2" not in block.code and "relu2" in other.code and type(block) is not type(other)
    assert block(-x).min() < 0
    assert torch.equal(other(x), before)
    assert "relu2" not in copy.deepcopy(module).layer1[0].code


@pytest.mark.parametrize("way", [*COPIES.values(), copy.copy], ids=[*COPIES.keys(), "copy"])
def test_a_chain_is_edited_as_any_sequential(way: Callable[[Any], Any]) -> None:
    module = resnet18()
    with torch.no_grad():
        third = module.layer3(torch.ones(1, 128, 8, 8))
        module.layer4.append(nn.Tanh())
        module.recompile()
        expected = module(X)
        assert module.layer4(third).max() <= 1
        assert torch.equal(way(module)(X), expected)
        assert torch.equal(fx.Interpreter(module).run(X), expected)
        last = module.layer4.pop(2)
        assert isinstance(last, nn.Tanh) and isinstance(module.layer4, Chain)
        del module.layer4[1]
        module.recompile()
        assert module.layer4[:1](third).shape == module.layer4(third).shape == (1, 512, 2, 2)
        assert torch.equal(way(module)(X), module(X))


def test_a_shallow_copy_has_the_members_and_a_graph_of_its_own() -> None:
    module = load(ROOT / "archs/googlenet.arch").lower()
    other = copy.copy(module)
    assert type(other) is type(module) and other.graph is not module.graph and module.graph.owning_module is module
    assert other.training and next(other.parameters()) is next(module.parameters())
    other.extra = nn.Identity()
    assert not hasattr(module, "extra")
    with pytest.raises(InputError):
        other(torch.randn(1, 1, 224, 224))
    block = resnet18().layer1[0]
    assert type(copy.copy(block)) is type(block)


def test_a_replica_of_a_block_with_a_parameter_of_its_own() -> None:
    block = load(ROOT / "archs/convnext_tiny.arch").lower().eval().get_submodule("features.1.0")
    (name,) = dict(block.named_parameters(recurse=False))
    replica = block._replicate_for_data_parallel()
    assert not replica._parameters and type(replica) is type(block)
    setattr(replica, name, getattr(block, name).detach().clone())
    x = torch.randn(1, 96, 4, 4)
    assert torch.equal(replica(x), block(x))


def test_the_mode_may_be_set_as_an_attribute() -> None:
    module = load(ROOT / "archs/googlenet_torchvision.arch").lower()
    for part in module.modules():
        part.training = False
    assert isinstance(module(torch.randn(1, 3, 224, 224)), Tensor)


# ---- changes, and what optimizes a network as it is in the file


def _without_the_last_relu(module: Any) -> None:
    block = module.layer1[0]
    node = next(node for node in block.graph.nodes if node.target == "relu2")
    node.replace_all_uses_with(node.args[0])
    block.graph.erase_node(node)
    block.recompile()


def _other_activations(module: Any) -> None:
    for part in list(module.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(part, name, nn.GELU())


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_other_activations, "relu1 is now of the class GELU, and was of ReLU"),
        (_without_the_last_relu, r"layer1\.0 has another graph"),
        (lambda module: module.layer3.append(nn.Conv2d(256, 256, 1)), r"layer3\.2 was added"),
        (lambda module: module.layer3.register_forward_hook(lambda _, args, out: out * 2), "layer3 has a forward hook"),
        (lambda module: module.layer3.__setitem__(1, nn.Identity()), r"layer3\.1 is now of the class Identity"),
        (lambda module: module.layer3.pop(1), r"layer3\.1 is no longer there"),
        (
            lambda module: torch.nn.utils.parametrizations.weight_norm(module.layer2[0].conv1),
            r"layer2\.0\.conv1 is now of the class Parametrized",
        ),
        (lambda module: setattr(module.maxpool1, "stride", 1), "maxpool1 has another stride"),
        (lambda module: setattr(module, "fc", nn.Linear(512, 10)), "fc has another out_features"),
        (lambda module: setattr(module.fc, "forward", lambda x: x), "fc has another forward"),
    ],
)
@pytest.mark.parametrize("level", [1, 2])
def test_optimize_refuses_a_module_that_was_changed(edit: Callable[[Any], Any], words: str, level: int) -> None:
    net = load(ROOT / "archs/resnet18.arch")
    module = resnet18()
    edit(module)
    with pytest.raises(ValueError, match=f"not as it was lowered: {words}"):
        net.optimize(module, batch=1, level=level)


def test_optimize_takes_what_changes_nothing_at_inference() -> None:
    net = load(ROOT / "archs/googlenet_torchvision.arch")
    module = net.lower().eval()
    module.aux1 = None
    module.dropout1.p = 0.5
    module.inception4a.recompile()
    for other in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module)), module.requires_grad_(False)):
        assert net.optimize(other, level=1)(torch.randn(1, 3, 224, 224)).shape == (1, 1000)


# ---- weights that come later, and other sizes


def test_a_network_made_on_the_meta_device_takes_weights() -> None:
    net = load(ROOT / "archs/lenet5.arch")
    real = net.lower().eval()
    with torch.device("meta"):
        empty, assigned = net.lower().eval(), net.lower().eval()
    assigned.load_state_dict(real.state_dict(), assign=True)
    filled = empty.to_empty(device="cpu")
    filled.load_state_dict(real.state_dict())
    x = torch.randn(2, 1, 32, 32)
    for other in (assigned, filled):
        assert torch.equal(other(x), real(x))
    with torch.device("meta"):
        bare = net.lower().eval()
    assert torch.equal(torch.func.functional_call(bare, real.state_dict(), x), real(x))
    exported = torch.export.export(real, (x,)).module()
    assert torch.equal(exported(x), real(x))
    assert torch.equal(torch.compile(real, fullgraph=True, backend="eager")(x), real(x))


@pytest.mark.parametrize("size", [9, 10, 11])
def test_a_crop_is_in_the_middle_of_what_comes(size: int) -> None:
    module = loads("input 1x9x9\ncrop(size=5)\n").lower()
    x = torch.randn(1, 1, size, size)
    start = (size - 5) // 2
    assert torch.equal(module(x), x[:, :, start : start + 5, start : start + 5])


# ---- the tools around


def test_torch_compile_takes_the_network_as_a_whole() -> None:
    module = resnet18()
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    with torch.no_grad():
        assert torch.equal(compiled(X), module(X))
    compiled.train()(X).sum().backward()
    assert module.layer4[1].conv1.weight.grad is not None


@pytest.mark.parametrize("strict", [False, True])
def test_torch_export(strict: bool) -> None:
    module = resnet18()
    program = torch.export.export(module, (X,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},), strict=strict).module()
    with torch.no_grad():
        assert torch.equal(program(X[:1]), module(X[:1]))


def test_an_export_keeps_the_hierarchy() -> None:
    program = torch.export.unflatten(torch.export.export(resnet18(), (X,)))
    with torch.no_grad():
        assert torch.equal(program(X), resnet18()(X))
    assert program.layer4(torch.randn(2, 256, 4, 4)).shape == (2, 512, 2, 2)
    assert program.get_submodule("layer4.1.conv2").weight.shape == (512, 512, 3, 3)


@pytest.mark.parametrize(
    "way", [torch.jit.script, lambda module: torch.jit.trace(module, (X,)), fx.symbolic_trace], ids=["script", "trace", "fx"]
)
def test_other_forms_of_torch(way: Callable[[Any], Any]) -> None:
    module = resnet18()
    with torch.no_grad():
        assert torch.allclose(way(module)(X), module(X), rtol=1e-4, atol=1e-4)


def test_fx_quantisation() -> None:
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    module = loads("input 3x16x16\nl: { conv3-8(norm=bn, act=relu) } x2\nadaptive_avgpool1; fc-4\n").lower().eval()
    x = torch.randn(4, 3, 16, 16)
    prepared = prepare_fx(module, get_default_qconfig_mapping("x86"), (x,))
    with torch.no_grad():
        prepared(x)
        expected = module(x)
        assert (convert_fx(prepared)(x) - expected).abs().max() < 0.1 * expected.abs().max()


def test_torchinfo_shows_the_shapes_of_blocks() -> None:
    shown = str(torchinfo.summary(resnet18(), (1, 3, 64, 64), depth=2, verbose=0))
    assert [line.split() for line in shown.splitlines() if "Chain: 1-8" in line] == [["├─Chain:", "1-8", "[1,", "512,", "2,", "2]", "--"]]


def test_torchvisions_feature_extractor() -> None:
    torchvision_models()
    from torchvision.models.feature_extraction import create_feature_extractor

    module = resnet18()
    found = create_feature_extractor(module, {"layer4": "x", "layer3.0": "y"})(X)
    with torch.no_grad():
        third = module.layer2(module.layer1(module.maxpool1(module.relu1(module.bn1(module.conv1(X))))))
        assert torch.equal(found["y"], module.layer3[0](third))
        assert torch.equal(found["x"], module.layer4(module.layer3(third)))


@pytest.mark.parametrize(
    "name",
    ["convnext_tiny", "googlenet", "zfnet", "lenet5", pytest.param("unet", marks=pytest.mark.slow)],
)
def test_every_network_can_be_traced(name: str) -> None:
    net = load(ROOT / f"archs/{name}.arch")
    torch.manual_seed(0)
    module = net.lower()
    assert isinstance(fx.symbolic_trace(module), fx.GraphModule)
    traced = fx.symbolic_trace(module.eval())
    x = torch.randn(1, *net.graph.inputs[0].shape)
    with torch.no_grad():
        assert torch.equal(traced(x), module(x))
        assert torch.equal(pickle.loads(pickle.dumps(traced))(x), module(x))


def test_a_pipeline_is_split_at_a_label() -> None:
    from torch.distributed.pipelining import SplitPoint, pipeline

    module = resnet18()
    pipe = pipeline(module, (X,), split_spec={"layer3": SplitPoint.BEGINNING})
    assert pipe.num_stages == 2
    first, second = (pipe.get_stage_module(number) for number in range(2))
    assert any(name.startswith("layer2") for name, _ in first.named_parameters())
    assert not any(name.startswith("layer2") for name, _ in second.named_parameters())
    with torch.no_grad():
        assert torch.equal(second(first(X)), module(X))


def test_a_network_within_a_module_of_ones_own() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = resnet18(), nn.Linear(1000, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.body(x))  # type: ignore[no-any-return]

    both = Both().eval()
    with torch.no_grad():
        expected = both(X)
        assert torch.equal(fx.symbolic_trace(both)(X), expected)
        assert torch.equal(torch.compile(both, fullgraph=True, backend="eager")(X), expected)
        assert torch.equal(copy.deepcopy(both)(X), expected)
    assert isinstance(both.body.layer1, Chain)


# ---- inputs that it cannot take


@pytest.mark.parametrize(
    ("name", "shape", "code", "words"),
    [
        (
            "alexnet",
            (1, 3, 96, 96),
            "E0315",
            ["fc6 has weights for 9216 values", "256x1x1 = 256 comes", "H is 227 to 258", "alexnet.arch:19"],
        ),
        ("alexnet", (1, 3, 64, 64), "E0301", ["at pool5", "height 3 over 2"]),
        ("alexnet", (1, 1, 227, 227), "E0315", ["conv1 has weights for 3 channels, and gets 1"]),
        ("alexnet", (3, 227, 227), "E0614", ["x.unsqueeze(0)", "Nx3x227x227"]),
        ("unet", (1, 1, 188, 188), "E0306", ["dec4.crop1", 'inputs="1x188x188"']),
        ("resnet18", (2, 3, 64), "E0614", ["4 axes", "2x3x64 was given"]),
        ("lenet5", (1, 1, 28, 28), "E0301", ["at c5", "H is 32 to 35"]),
    ],
)
def test_an_input_of_another_shape(name: str, shape: tuple[int, ...], code: str, words: list[str]) -> None:
    with torch.device("meta"):
        module = load(ROOT / f"archs/{name}.arch").lower().eval()
        with pytest.raises(InputError, match=code) as caught:
            module(torch.empty(shape))
    error = caught.value
    assert isinstance(error, ValueError) and isinstance(error, ArchError) and isinstance(error.__cause__, Exception)
    assert [found.code for found in error.diagnostics] == [code]
    for word in words:
        assert word in str(error)


def test_two_inputs_and_what_was_given() -> None:
    module = loads("input left: 3x8x8\ninput right: 3x8x8\nconcat<@left | @right>\nconv3-4\n").lower()
    x = torch.randn(1, 3, 8, 8)
    assert module(right=x, left=x).shape == (1, 4, 6, 6)
    for given, words in (
        ([x], "takes 2 inputs, and 1 was given"),
        ([x, x, x], "takes 2 inputs, and 3 were given"),
        ([x, [1]], "right is no tensor"),
    ):
        with pytest.raises(InputError, match=words):
            module(*given)
    with pytest.raises(TypeError, match="unexpected keyword"):
        module(x, other=x)


def test_a_size_that_works_goes_on_working_and_other_errors_are_torchs() -> None:
    module = resnet18()
    assert module(torch.randn(1, 3, 100, 80)).shape == (1, 1000)
    with pytest.raises(RuntimeError, match=r"scalar type|dtype|type") as caught:
        module(X.double())
    assert not isinstance(caught.value, InputError)
    module.layer3 = nn.Linear(3, 3)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        module(X)


def test_a_copy_still_knows_what_it_takes() -> None:
    for way in COPIES.values():
        with pytest.raises(InputError, match="conv1 has weights for 3 channels"):
            way(resnet18())(torch.randn(1, 4, 64, 64))


class _Failing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(3, 5, 7)


def _with_other_channels(module: Any) -> None:
    module.conv1 = nn.Conv2d(4, 64, 7, 2, 3, bias=False)
    module.layer4.register_forward_hook(_raise(ValueError("mine")))


def _raise(error: Exception) -> Callable[..., Any]:
    def hook(*_: Any) -> None:
        raise error

    return hook


@pytest.mark.parametrize(
    ("edit", "channels", "kind", "words"),
    [
        (_with_other_channels, 4, ValueError, "mine"),
        (lambda module: setattr(module, "fc", nn.Linear(3, 3)), 3, RuntimeError, "cannot be multiplied"),
        (lambda module: setattr(module, "conv1", nn.Conv2d(4, 64, 7, 2, 3)), 5, RuntimeError, "to have 4 channels"),
        (lambda module: module.layer4.register_forward_hook(_raise(torch.OutOfMemoryError("full"))), 3, torch.OutOfMemoryError, "full"),
        (lambda module: module.conv1.register_forward_pre_hook(_raise(torch.OutOfMemoryError("full"))), 4, torch.OutOfMemoryError, "full"),
        (lambda module: module.conv1.register_forward_pre_hook(_raise(RuntimeError("mine"))), 4, RuntimeError, "mine"),
        (lambda module: setattr(module, "maxpool1", _Failing()), 3, RuntimeError, "shape"),
    ],
)
def test_errors_of_a_network_that_was_adapted_are_its_own(edit: Callable[[Any], Any], channels: int, kind: type, words: str) -> None:
    module = resnet18()
    edit(module)
    with pytest.raises(kind, match=words) as caught:
        module(torch.randn(1, channels, 64, 64))
    assert type(caught.value) is kind


def test_a_hook_that_looks_on_changes_no_error() -> None:
    module = resnet18()
    module.layer4.register_forward_hook(lambda *_: None)
    with pytest.raises(InputError, match="conv1 has weights for 3 channels"):
        module(torch.randn(1, 4, 64, 64))


def test_an_input_error_passes_between_processes() -> None:
    from torch._utils import ExceptionWrapper

    with pytest.raises(InputError) as caught:
        resnet18()(torch.randn(1, 4, 64, 64))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    wrapper = ExceptionWrapper((type(caught.value), caught.value, None), where="in a replica")
    with pytest.raises(RuntimeError, match="conv1 has weights for 3 channels"):
        wrapper.reraise()


def test_what_is_wrong_with_an_input_in_words() -> None:
    module = resnet18()
    for given, words in (
        (torch.randn(1, 224, 224, 3), r"the channels come first: `x.permute\(0, 3, 1, 2\)` of the input"),
        (torch.randn(2, 3), "help: give a tensor of 4 axes, the batch first"),
        (torch.randn(1, 1, 3, 8, 8), "help: give a tensor of 4 axes, the batch first"),
    ):
        with pytest.raises(InputError, match=words):
            module(given)
    with pytest.raises(RuntimeError) as caught:
        module(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    assert caught.value.__notes__ == ["input is torch.uint8 on cpu, and the weights are torch.float32 on cpu"]
    two = loads("input left: 3x8x8\ninput right: 3x8x8\nconcat<@left | @right>\nconv3-4\n").lower()
    with pytest.raises(InputError, match="without its input left"):
        two(right=torch.randn(1, 3, 8, 8))


def test_only_what_runs_in_a_mode_is_blamed() -> None:
    module = load(ROOT / "archs/inception_v3.arch").lower()
    with pytest.raises(InputError, match="AuxLogits"):
        module(torch.randn(2, 3, 96, 96))
    assert module.eval()(torch.randn(2, 3, 96, 96)).shape == (2, 1000)
