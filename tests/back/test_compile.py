"""The verb `compile`: what it prints, what it writes, and what it says where a device, a disk or a weight file fails."""

from __future__ import annotations

import getpass
import json
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from archc import Network, UsageError, load, loads
from archc.compiler.backends import BACKENDS, Backend
from archc.compiler.backends.comparison import difference
from archc.compiler.backends.errors import CannotVerify, Unfit, Unreadable
from archc.compiler.backends.weights import tensors_of
from archc.compiler.driver import check_text
from archc.compiler.files import CannotWrite
from archc.compiler.graph import ArchGraph
from archc.dsl.errors import ArchError
from archc.tests.support import ROOT
from archc.tests.support.commands import archc, facts, forked

RESNET18 = "archs/resnet18.arch"


def test_compile_resnet152() -> None:
    done = archc("compile", "archs/resnet152.arch")
    assert "60,192,808" in done.stdout
    assert "11,513,626,624" in done.stdout
    assert done.stderr == ""


def test_compile_json() -> None:
    data = facts("compile", RESNET18, "--input", "3x64x64", "--batch", "2", "--dtype", "bfloat16", "--device", "cpu")
    assert data["name"] == "resnet18"
    assert (data["params"], data["nodes"], data["diagnostics"]) == (11_689_512, 69, [])
    assert data["inputs"] == {"input": [3, 64, 64]}
    assert data["outputs"] == data["ran_outputs"] == {"output": [1000]}
    assert {claim["status"] for claim in data["claims"]} == {"held", "waived"}
    assert set(data["seconds"]) == {"parse", "elaborate", "verify", "lower", "to device", "forward"}
    assert (data["device"], data["dtype"], data["batch"]) == ("cpu", "bfloat16", 2)


def test_compile_writes_what_loads_again(tiny: Path) -> None:
    out = tiny.parent
    names = [str(out / f"net.{suffix}") for suffix in ("pt2", "safetensors", "json")]
    archc("compile", str(tiny), *(arg for name in names for arg in ("-o", name)))
    assert sorted(path.name for path in out.iterdir()) == ["net.json", "net.pt2", "net.safetensors", "tiny.arch"]
    net = load(tiny)
    assert ArchGraph.from_json(json.loads((out / "net.json").read_text())).same_as(net.graph)
    from archc.compiler.backends.torch.weight_files import load_weights

    module = net.lower().eval()
    load_weights(module, str(out / "net.safetensors"))
    program = torch.export.load(names[0]).module()
    for batch in (1, 3, 7):
        x = torch.randn(batch, 3, 8, 8)
        assert torch.equal(program(x), module(x))
    torch.save(module.state_dict(), out / "net.pth")
    archc("compile", str(tiny), "--weights", str(out / "net.pth"))
    torch.save({"conv1.weight": torch.zeros(4, 3, 5, 5), "new": torch.zeros(1)}, out / "bad.pth")
    done = archc("compile", str(tiny), "--weights", str(out / "bad.pth"), code=1)
    for row in ("missing    conv1.bias", "misshapen  conv1.weight", "4x3x5x5", "unexpected new"):
        assert row in done.stderr
    (out / "bad.pth").write_bytes(b"not weights")
    assert "cannot read weights" in archc("compile", str(tiny), "--weights", str(out / "bad.pth"), code=1).stderr


# Every row of the table, by suffix; what takes a compiler runs at night.
ROWS = [
    pytest.param(row, suffix, id=suffix, marks=[pytest.mark.slow] if row.name == "package" else [])
    for row in BACKENDS
    for suffix in row.suffixes
]
OLD = "input 3x8x8\nrelu\n"


@pytest.mark.parametrize(("row", "suffix"), ROWS)
def test_a_full_disk_is_told_and_leaves_the_old_file(row: Backend, suffix: str, tiny: Path) -> None:
    # What is compiled goes to other files first, which are larger than the limit: there the writer alone meets it.
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))"
    early = limit if row.name != "package" else f"packages._repack = (lambda old: lambda *a: ({limit}, old(*a)))(packages._repack)"
    first = f"import resource, sys\nfrom archc.compiler.backends.torch import packages\nsys.dont_write_bytecode = True\n{early}\n"
    target = tiny.parent / f"net{suffix}"
    target.write_text(OLD)
    args = ["compile", str(tiny), "-o", str(target), "--optimize", str(row.levels[0])]
    done = forked(*args, first=first, stdout="/dev/null")
    assert done.returncode == 1, done.stderr
    assert f"archc: cannot write {target}: " in done.stderr and "File too large" in done.stderr
    assert target.read_text() == OLD
    assert sorted(path.name for path in tiny.parent.iterdir()) == sorted([target.name, "tiny.arch"])


@pytest.mark.parametrize(("row", "suffix"), ROWS)
def test_an_interrupt_or_a_full_device_leaves_the_old_file(row: Backend, suffix: str, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path, *args: object) -> None:
        raise KeyboardInterrupt

    net = load(tiny)
    target = tiny.parent / f"net{suffix}"
    target.write_text(OLD)
    device = tiny.parent / f"full{suffix}"
    device.symlink_to("/dev/full")
    with pytest.raises(CannotWrite, match="No space left on device"):
        net.compile(device, level=row.levels[0])
    monkeypatch.setattr(Path, "chmod", interrupted)  # the last step before the new file replaces the old one
    with pytest.raises(KeyboardInterrupt):
        net.compile(target, level=row.levels[0])
    assert target.read_text() == OLD and device.is_symlink()
    assert sorted(path.name for path in tiny.parent.iterdir()) == sorted([device.name, target.name, "tiny.arch"])


# ---- what was written, and whether it is the network

SEVERAL = {
    "one": "input 3x8x8\nconv3-4(pad=1); BN; relu\nFC-5\n",
    "two inputs and outputs": "input a: 3x8x8\ninput b: 7\noutput first: @a; conv3-4; flatten; FC-5\noutput second: @b; FC-3\n",
    "whole numbers": "input words: 6\nembedding(12, 4); flatten; FC-3\n",
    "training only": "input 3x8x8\nconv3-4; relu\noutput aux(when=training): FC-2\nFC-5\n",
}


def by_night(row: str, name: str) -> bool:
    """A file of source is run in a process of its own, which takes seconds: by day once."""
    return row == "package" or (row == "source" and name != "two inputs and outputs")


VERIFIED = [
    pytest.param(row, suffix, name, id=f"{suffix}-{name}", marks=[pytest.mark.slow] if by_night(row.name, name) else [])
    for row in BACKENDS
    for suffix in row.suffixes
    for name in SEVERAL
]


@pytest.mark.parametrize(("row", "suffix", "name"), VERIFIED)
def test_what_is_written_is_the_network(row: Backend, suffix: str, name: str, tmp_path: Path) -> None:
    net = loads(SEVERAL[name])
    found = net.compile(tmp_path / f"net{suffix}", level=row.levels[0], verify=True)
    (file,) = found.written
    assert found.ok and file.difference is not None and not file.difference.constant
    assert file.difference.relative <= row.tolerance
    assert file.size == (tmp_path / f"net{suffix}").stat().st_size
    assert file.load == "from net import Text" if row.name == "source" else str(tmp_path) in file.load
    assert file.load in found.text() and file.load in found._repr_html_().replace("&quot;", '"')
    assert found.facts()["written"][0]["difference"]["tolerance"] == row.tolerance


HALVES = [
    pytest.param(row, suffix, dtype, id=f"{suffix}-{dtype}", marks=[] if row.name in ("onnx", "weights") else [pytest.mark.slow])
    for row in BACKENDS
    for suffix in row.suffixes
    for dtype in ("float16", "bfloat16")
]


@pytest.mark.parametrize(("row", "suffix", "dtype"), HALVES)
def test_half_precision_is_the_network(row: Backend, suffix: str, dtype: str, tmp_path: Path) -> None:
    found = loads(SEVERAL["one"]).compile(tmp_path / f"net{suffix}", level=row.levels[0], dtype=dtype, verify=True)
    (file,) = found.written
    assert found.ok and file.difference is not None
    most = {"float16": 0.006, "bfloat16": 0.047}[dtype] if row.tolerance else 0.0
    assert file.difference.tolerance <= most
    assert ("run in float32" in found.text()) == (dtype in row.widened)


WRONG = {"float32": 1.001, "float16": 1.05, "bfloat16": 1.2}  # times the right weights of one layer


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_wrong_weights_of_one_layer_are_found_in_onnx(dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from archc.compiler.backends.onnx import write as writer

    right = writer.applied
    monkeypatch.setattr(
        writer,
        "applied",
        lambda recipes, weights: {
            key: (array * WRONG[dtype]).astype(array.dtype) if key == "fc1.weight" else array
            for key, array in right(recipes, weights).items()
        },
    )
    found = loads(SEVERAL["one"]).compile(tmp_path / "net.onnx", dtype=dtype, verify=True)
    assert not found.ok and "above" in found.text()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_wrong_weights_of_one_layer_are_found_in_a_package(dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from archc.compiler.backends.torch import packages

    right = packages.realized

    def wrong(*args: object) -> torch.nn.Module:
        module: torch.nn.Module = right(*args)
        with torch.no_grad():
            list(module.parameters())[-2].mul_(WRONG[dtype])
        return module

    monkeypatch.setattr(packages, "realized", wrong)
    found = loads(SEVERAL["one"]).compile(tmp_path / "net.aoti.pt2", level=2, dtype=dtype, verify=True)
    assert not found.ok and "above" in found.text()


def test_a_file_that_is_not_the_network_is_told(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from archc.compiler.backends.torch import files

    def slightly_off(tensors: dict[str, torch.Tensor], path: Path) -> None:
        write({key: tensor + 1e-6 for key, tensor in tensors.items()}, path)

    def other_keys(tensors: dict[str, torch.Tensor], path: Path) -> None:
        write({f"net.{key}": tensor for key, tensor in tensors.items()}, path)

    write = files.save_tensors
    target = tiny.parent / "net.safetensors"
    for writer, words in ((slightly_off, "where there should be none"), (other_keys, "its tensors are not those of tiny")):
        monkeypatch.setattr(files, "save_tensors", writer)
        found = load(tiny).compile(target, verify=True)
        assert not found.ok and words in found.text() and found.facts()["written"][0]["ok"] is False
        assert target.exists()


def test_a_file_that_is_not_the_network_ends_with_1(tiny: Path) -> None:
    program = (
        "from archc.compiler.backends.torch import files\nwrite = files.save_tensors\n"
        "files.save_tensors = lambda tensors, path: write({key: tensor + 1 for key, tensor in tensors.items()}, path)\n"
    )
    done = forked("compile", str(tiny), "-o", "net.safetensors", "--verify", folder=tiny.parent, first=program)
    assert done.returncode == 1
    assert "  WRONG       net.safetensors: largest difference" in done.stdout
    assert "net.safetensors does not compute what the network does" in done.stderr
    assert (tiny.parent / "net.safetensors").exists()


def test_outputs_that_cannot_be_compared() -> None:
    ones, other = {"y": np.ones((2, 3))}, {"y": np.array([[1.0, 2, 3], [1, 2, np.inf]])}
    assert difference({"y": ones["y"] + 1e-9}, ones, 1e-4, "float32").constant == "y"
    assert difference(other, other, 0, "float32").absolute == 0
    assert not difference({"y": np.zeros((2, 3))}, other, 1e-4, "float32").within
    assert not difference({"y": np.full((2, 3), np.nan)}, ones, 1e-4, "float32").within
    for theirs, words in (({"z": ones["y"]}, "its outputs are z"), ({"y": np.ones(3)}, "its output y is 3, and that of the network 2x3")):
        with pytest.raises(CannotVerify, match=words):
            difference(theirs, ones, 0, "float32")
    many, few = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3) / 1000
    found = difference({"y": many, "z": few + 1e-6}, {"y": many, "z": few}, 1e-5, "float32")  # the output that is off is told, though small
    assert not found.within and found.absolute < 2e-6 and found.tolerance == 1e-5
    far = 1000 + many / 1000  # of a spread as small as its last bits
    assert difference({"y": far + 1e-4}, {"y": far}, 1e-5, "float32").within
    assert not difference({"y": far + 1e-3}, {"y": far}, 1e-5, "float32").within
    assert not difference({"y": far + 1e-9}, {"y": far}, 0, "float32").within
    with pytest.raises(CannotVerify, match="no finite value"):
        difference(ones, {"y": np.full((2, 3), np.nan)}, 0, "float32")


def test_noise_is_compared_only_where_the_numbers_are_the_same(tmp_path: Path) -> None:
    net = loads("input 20\nFC-4; normal_noise(when=always)\n")
    assert net.compile(tmp_path / "a.pt2", verify=True).ok
    with pytest.raises(UsageError, match=r"cannot compare a .aoti.pt2: normal_noise1 \(normal_noise\) draws random numbers"):
        net.compile(tmp_path / "b.aoti.pt2", level=2, verify=True)
    assert not (tmp_path / "b.aoti.pt2").exists()


def test_open_sizes_are_written_where_the_file_can_hold_them(tmp_path: Path) -> None:
    net = loads("input 3xHxW\nconv3-4; relu; adaptive_avgpool1; flatten; FC-2\n")
    found = net.compile(tmp_path / "a.json", tmp_path / "a.safetensors")
    assert found.device == "" and "ran         not: the sizes of its inputs are open" in found.text()
    assert [file.size > 100 for file in found.written] == [True, True]
    with pytest.raises(ArchError, match="E0609"):
        net.compile(tmp_path / "b.json", tmp_path / "b.pt2")
    assert not (tmp_path / "b.json").exists()


# ---- without torch

STATED = ["lenet5", "resnet18", "googlenet", "swin_t", "swin_v2_t", "mvit_v2_s", "maxvit_t", "shufflenet_v2_x1_0", "wavenet"]


@pytest.mark.parametrize("name", STATED)
def test_tensors_are_known_without_torch(name: str) -> None:
    graph = load(f"archs/{name}.arch").graph
    with torch.device("meta"):
        state = load(f"archs/{name}.arch").lower().state_dict()
    own = {key: (tuple(tensor.shape), not tensor.is_floating_point()) for key, tensor in state.items()}
    assert list(tensors_of(graph).items()) == list(own.items())


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_weights_are_the_same_without_torch(dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = loads(SEVERAL["one"])
    net.compile(tmp_path / "given.safetensors", dtype=dtype)
    for source in (tmp_path / "given.safetensors", tmp_path / "old.safetensors"):
        if source.stem == "old":  # without the counter, as older versions of PyTorch wrote it
            save_file({key: t for key, t in load_file(tmp_path / "given.safetensors").items() if "num_batches" not in key}, source)
        net.compile(tmp_path / "with.safetensors", dtype=dtype, weights=source)
        with monkeypatch.context() as patched:
            patched.setitem(sys.modules, "torch", None)
            found = net.compile(tmp_path / "without.safetensors", dtype=dtype, weights=source)
        assert found.idle == "torch is not installed" and not found.device
        assert (tmp_path / "without.safetensors").read_bytes() == (tmp_path / "with.safetensors").read_bytes()


WRONG_WEIGHTS = {
    "nothing": ({}, Unfit),
    "parallel": ({"module.fc1.weight": torch.ones(2, 3)}, Unfit),
    "shape": ({"fc1.weight": torch.ones(3, 3), "fc1.bias": torch.ones(2)}, Unfit),
    "nan": ({"fc1.weight": torch.full((2, 3), torch.nan), "fc1.bias": torch.ones(2)}, Unreadable),
    "infinite": ({"fc1.weight": torch.full((2, 3), torch.inf).half(), "fc1.bias": torch.ones(2)}, Unreadable),
    "infinite bfloat16": ({"fc1.weight": torch.full((2, 3), torch.inf).bfloat16(), "fc1.bias": torch.ones(2)}, Unreadable),
    "whole numbers": ({"fc1.weight": torch.ones(2, 3).long(), "fc1.bias": torch.ones(2)}, Unreadable),
}


@pytest.mark.parametrize("name", WRONG_WEIGHTS)
def test_weights_are_refused_in_the_same_words_without_torch(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, kind = WRONG_WEIGHTS[name]
    net, source, target = loads("input 3\nFC-2\n"), tmp_path / "given.safetensors", tmp_path / "net.safetensors"
    save_file(state, source)
    _refused_alike(net, source, target, kind, monkeypatch)


@pytest.mark.parametrize("data", [b"", b"not weights", bytes(200)])
def test_files_that_are_no_weights_are_refused_in_the_same_words(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "given.safetensors"
    source.write_bytes(data)
    _refused_alike(loads("input 3\nFC-2\n"), source, tmp_path / "net.safetensors", Unreadable, monkeypatch)
    _refused_alike(loads("input 3\nFC-2\n"), tmp_path / "none.safetensors", tmp_path / "a.safetensors", Unreadable, monkeypatch)


def _refused_alike(net: Network, source: Path, target: Path, kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(kind) as expected:
        net.compile(target, weights=source)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(kind) as found:
        net.compile(target, weights=source)
    monkeypatch.undo()
    assert str(found.value) == str(expected.value)
    assert getattr(found.value, "rows", None) == getattr(expected.value, "rows", None)
    assert not target.exists()


@pytest.mark.slow
def test_a_package_names_no_folder_and_takes_any_batch(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tiny.parent / "net.aoti.pt2"
    net = load(tiny)
    assert net.compile(target, level=3, verify=True).ok
    with zipfile.ZipFile(target) as package:
        data = b"".join(package.read(name) for name in package.namelist())
    for word in (str(Path(torch.__file__).parent), str(ROOT), getpass.getuser() + "/", tempfile.gettempdir()):
        assert word.encode() not in data, word
    run = torch._inductor.aoti_load_package(str(target))
    assert [tuple(run(torch.randn(size, 3, 8, 8)).shape) for size in (1, 3, 7)] == [(1, 2), (3, 2), (7, 2)]


def test_a_package_needs_a_compiler(tiny: Path) -> None:
    target = tiny.parent / "net.aoti.pt2"
    env = {"CXX": "no-such-compiler", "PATH": str(tiny.parent)}
    done = forked("compile", str(tiny), "--optimize", "2", "-o", str(tiny.parent / "net.json"), "-o", str(target), env=env)
    assert done.returncode == 3, done.stderr
    assert "a .aoti.pt2 needs a C++ compiler, which is not installed: install g++" in done.stderr
    assert sorted(path.name for path in tiny.parent.iterdir()) == ["tiny.arch"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there() -> None:
    assert "no CUDA device" in archc("compile", RESNET18, "--device", "cuda", code=2).stderr


def test_open_sizes_cannot_be_lowered() -> None:
    from archc.compiler.backends.torch.lower import lower, random_inputs

    graph = check_text("input 3xHxW\nupsample(size=[in.h // 2, in.w // 2])").graph
    with pytest.raises(ArchError, match="E0609"):
        lower(graph)
    with pytest.raises(ArchError, match="E0609"):
        random_inputs(graph, 1)


def test_the_code_of_the_module_is_a_stage() -> None:
    net = load("docs/small.arch")
    text = net.stages(print_after="torch")["torch"]
    assert [line for line in text.splitlines() if line.startswith("#")] == ["# small", "# unit1, unit2"]
    model = net.lower().eval()
    assert text == f"# small\n{model.code.strip()}\n\n# unit1, unit2\n{model.unit1.code.strip()}\n"
    folded = net.stages(level=2, print_after="torch")["torch"]
    assert "bn1" not in folded and "self.unit1.conv1(" in folded


def test_print_after_prints_before_it_runs() -> None:
    shown = archc("compile", "docs/small.arch", "--print-after", "all", "--optimize", "1").stdout
    heads = [line for line in shown.splitlines() if line.startswith("# after ")]
    assert heads == [f"# after {name}" for name in ("parse", "elaborate", "drop_training", "lower", "torch")]
    assert shown.splitlines()[-1].startswith("  seconds")


def test_without_graphviz_a_network_compiles(tmp_path: Path) -> None:
    (tmp_path / "pygraphviz.py").write_text("raise ImportError('no Graphviz here')")
    archc("compile", "archs/lenet5.arch", env={"PYTHONPATH": str(tmp_path)})
