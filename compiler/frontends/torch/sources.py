"""Build the modules that sources name, export them, and read the programs."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archc.compiler.backends.torch.published import torchvision_models
from archc.compiler.frontends.flat import CannotRead, FlatNetwork
from archc.compiler.frontends.naming import name_of, outer
from archc.compiler.frontends.torch import (  # noqa: F401  # they register their rules
    attention,
    layers,
    moving,
    patches,
    pointwise,
    recurrent,
    statistics,
    windows,
)
from archc.compiler.frontends.torch.exported_file import fixed, loaded
from archc.compiler.frontends.torch.reader import Reader
from archc.compiler.frontends.walk import OPEN
from archc.dsl.vocabulary.spelling import near

BATCH = 2


def exported(
    module: nn.Module, shapes: Sequence[Sequence[int]], training: bool = False, batch: int = BATCH
) -> torch.export.ExportedProgram:
    """Return the exported program of a module on the meta device, for evaluation or for training.

    Raises CannotRead where it does not run on inputs of these shapes.
    """
    module.train(training)
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.export.export(module, tuple(torch.empty(batch, *shape) for shape in shapes), strict=False)
        except MemoryError:
            raise
        except Exception as error:  # whatever the code of the network raises
            sizes, purpose = " and ".join("x".join(map(str, shape)) for shape in shapes), " for training" if training else ""
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise CannotRead(f"it cannot be exported{purpose} with an input of {sizes}: {reason}") from None


Stored = Callable[[], Mapping[str, torch.Tensor]]


def read(
    program: torch.export.ExportedProgram,
    title: str,
    modes: Mapping[str, str],
    training: bool = False,
    batch: int = BATCH,
    partial: bool = False,
    stored: Stored = dict,
    several: Sequence[Sequence[str]] = (),
) -> Reader:
    """Return a reader that has read an exported program. `stored` returns tensors that are not trained. Raises CannotRead.

    `several` are the paths of each module that has more than one.
    """
    reader = Reader(program, title, batch, training, partial)
    reader.stored = stored
    reader.paths = {path: list(paths) for paths in several for path in paths}
    reader.modes.update(modes)
    reader.read()
    reader.share(several)
    return reader


def network(reader: Reader, name: str, title: str, only_training: Sequence[str] = ()) -> FlatNetwork:
    """Return what a reader has read. Raises CannotRead."""
    state = {key: tuple(tensor.shape) for key, tensor in reader.program.state_dict.items()}
    flat = reader.flat
    flat.classes = dict(reader.classes)
    flat.changes.numbers |= reader.stated(flat.unread(reader.outputs.values(), state))
    graph, named = flat.finished(name, title, reader.outputs, state)
    for output in only_training:
        graph.outputs[output] = replace(graph.outputs[output], training_only=True)
    graph.mark_training_only()
    unread = tuple(flat.unread(reader.outputs.values(), flat.changes.state(state)))
    classes = {path: kind for path, kind in flat.classes.items() if path}
    return FlatNetwork(graph, title, classes, named, unread=unread, change=flat.changes.tensors if flat.changes else None)


def read_module(
    module: nn.Module, shapes: Sequence[Sequence[int]], name: str, title: str, partial: bool = False, stored: Stored = dict
) -> FlatNetwork:
    """Return the graph of a module: as it is in evaluation, with what else it computes in training. Raises CannotRead."""
    modes, batch, several = marked(module), OPEN if partial else BATCH, paths_of(module)
    reader = read(exported(module, shapes, batch=batch), title, modes, batch=batch, partial=partial, stored=stored, several=several)
    unread = set(reader.flat.unread(reader.outputs.values(), reader.program.state_dict))
    if not unread - reader.flat.spared - reader.stated(unread).keys():
        return network(reader, name, title)
    evaluated = reader.flat.digest(reader.outputs.values())
    trained = read(exported(module, shapes, True, batch), title, modes, True, batch, partial, stored, several)
    outputs = dict(trained.outputs)
    main = next((output for output, number in outputs.items() if trained.flat.digest([number]) == evaluated), None)
    if main is None or len(reader.outputs) != 1:
        return network(reader, name, title)  # which says what is not used
    trained.outputs = {output: number for output, number in outputs.items() if output != main} | {"output": outputs[main]}
    return network(trained, name, title, [output for output in trained.outputs if output != "output"])


def paths_of(module: nn.Module) -> list[list[str]]:
    """Return the paths of each module with weights that has several, if the module around it has not."""
    found: dict[nn.Module, list[str]] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        if path and any(True for _ in part.parameters()):
            found.setdefault(part, []).append(path)
    several = {path for paths in found.values() if len(paths) > 1 for path in paths}
    return [paths for paths in found.values() if len(paths) > 1 and not any(around in several for around in outer(paths[0]))]


def built(make: Callable[[], nn.Module]) -> nn.Module:
    """Return a module without memory for its weights, even where it computes sizes by tensors. Raises CannotRead for wrong options."""
    try:
        try:
            with torch.device("meta"):
                return make()
        except (NotImplementedError, RuntimeError):
            return make().to("meta")
    except (TypeError, ValueError, AttributeError) as error:
        raise CannotRead(f"it cannot be built: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from None


def buffers(make: Callable[[], nn.Module]) -> Mapping[str, torch.Tensor]:
    """Return the tensors of a module that are not trained, with their values: it is built without memory for those that are."""
    register = nn.Module.register_parameter

    def without_memory(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        register(self, name, None if param is None else nn.Parameter(param.to("meta"), param.requires_grad))

    nn.Module.register_parameter = without_memory  # type: ignore[method-assign]
    try:
        found = dict(make().named_buffers())
    except (NotImplementedError, RuntimeError):
        found = {"": torch.empty(0, device="meta")}
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]
    # some modules compute a buffer where their parameters are
    return dict(make().named_buffers()) if any(held.is_meta for held in found.values()) else found


def torchvision(
    name: str, shape: Sequence[int] | None = None, options: Mapping[str, Any] | None = None, partial: bool = False
) -> FlatNetwork:
    """Return the graph of a network of torchvision, built with options. Raises CannotRead."""
    models = torchvision_models()
    if name not in models.list_models():
        raise CannotRead(f"torchvision has no network {name}{meant(name, models.list_models())}")
    takes = inspect.signature(models.get_model_builder(name)).parameters
    none = dict.fromkeys(("weights", "weights_backbone") if "weights_backbone" in takes else ("weights",))

    if stored := next((key for key in options or {} if key.startswith("weights")), ""):
        raise CannotRead(f"it is built without weights, and `{stored}` would load some")

    is_detector = name in models.list_models(module=models.detection)

    def make() -> nn.Module:
        module = models.get_model(name, **none, **(options or {}))
        return Predictions(module) if is_detector else module

    title = f"torchvision {version('torchvision')}, {name}" + "".join(f", {key}={value}" for key, value in (options or {}).items())
    module = built(make)
    shape = shape or published_shape(models, name, module)
    flat = read_module(module, [shape], name_of(name.lower()), title, partial, functools.partial(buffers, make))
    return replace(flat, oracle=make)


class Predictions(nn.Module):
    """What a detector of one stage predicts of an image for all anchors; that which selects boxes among these depends on their values."""

    def __init__(self, detector: nn.Module) -> None:
        """Take the parts of a detector. Raises CannotRead where it has two stages."""
        super().__init__()
        if not hasattr(detector, "head"):
            raise CannotRead("a detector of two stages: the second predicts for regions that the first selects by their values")
        self.backbone: Any = detector.backbone
        self.head: Any = detector.head
        self.image_size = image_size(detector.transform)

    def forward(self, x: torch.Tensor) -> Any:
        """Return the predictions of the head for the maps of the backbone."""
        maps: Any = self.backbone(x)
        return self.head(list(maps.values()))


def image_size(transform: Any) -> int:
    """Return the height and width that the transform of a detector gives to square images."""
    height, width = transform.fixed_size or (transform.min_size[0],) * 2
    if height != width:
        raise CannotRead(f"a detector of images of {height}x{width}, which are no squares")
    return int(height)


def published_shape(models: Any, name: str, module: Any = None) -> tuple[int, ...]:
    """Return the shape of a sample that a network of torchvision is for: of a module that states its `image_size`, that.

    Otherwise it is the one that the first published weights were trained for. Of videos these may accept a single frame, which is no video;
    it is then the length of the clips that their documentation states.
    """
    weights = next(iter(models.get_model_weights(name)))
    transforms = getattr(weights.transforms, "keywords", {})
    crop = transforms.get("crop_size") or transforms.get("resize_size") or 224
    stated = getattr(module, "image_size", None)
    crop = stated if isinstance(stated, int) else crop
    sizes = tuple(crop) if isinstance(crop, (tuple, list)) else (crop, crop)
    sizes = sizes if len(sizes) == 2 else sizes * 2
    if weights.__class__.__module__.split(".")[2:3] != ["video"]:
        return (3, *sizes)
    frames = weights.meta.get("min_temporal_size", 1)
    clip = re.search(r"clip_len=(\d+)", weights.meta.get("_docs", ""))
    return (3, frames if frames > 1 else int(clip[1]) if clip else 16, *sizes)


def timm(name: str, shape: Sequence[int] | None = None, options: Mapping[str, Any] | None = None, partial: bool = False) -> FlatNetwork:
    """Return the graph of a network of timm, built with options. Raises CannotRead."""
    torchvision_models()
    import timm

    if name not in timm.list_models():
        raise CannotRead(f"timm {timm.__version__} has no network {name}{meant(name, timm.list_models())}")

    def make() -> nn.Module:
        return timm.create_model(name, **(options or {}))

    module: Any = built(make)
    shape = shape or module.pretrained_cfg["input_size"]
    title = f"timm {timm.__version__}, {name}" + "".join(f", {key}={value}" for key, value in (options or {}).items())
    return replace(
        read_module(module, [tuple(shape)], name_of(name.lower()), title, partial, functools.partial(buffers, make)), oracle=make
    )


def meant(name: str, known: Sequence[str]) -> str:
    """Return the nearest known names, as the end of a message."""
    found = near(name, known)
    return f" (did you mean {' or '.join(found)}?)" if found else ""


def exported_file(path: str, partial: bool = False) -> FlatNetwork:
    """Return the graph of an exported program in a file, with its weights. Raises CannotRead."""
    file = Path(path)
    program = loaded(file)
    batch = OPEN if partial else BATCH
    whole = fixed(program, batch)
    sizes = [node.meta["val"].shape[0] for node in whole.graph.nodes if node.name in whole.graph_signature.user_inputs]
    title = f"{file.name}, exported by torch"
    reader = read(whole, title, {}, batch=sizes[0] if sizes else batch, partial=partial)
    flat = network(reader, name_of(file.stem.lower()), title)
    return replace(
        flat,
        weights=lambda: changed(flat, arrays(program.state_dict)),
        oracle=lambda: program.module(check_guards=False),
    )


def python_module(source: str, shapes: Sequence[Sequence[int]], partial: bool = False) -> FlatNetwork:
    """Return the graph of what a function of a Python module returns, `module:callable`. It executes that module. Raises CannotRead."""
    name, _, function = source.partition(":")
    if name.partition(".")[0] in ("torchvision", "timm"):
        torchvision_models()
    try:
        make: Any = importlib.import_module(name)
        for part in function.split("."):
            make = getattr(make, part)
    except (ImportError, AttributeError) as error:
        raise CannotRead(f"there is no {source}: {error}") from None
    module = make if isinstance(make, nn.Module) else built(make)
    if not isinstance(module, nn.Module):
        raise CannotRead(f"{source} returns {type(module).__name__}, and no module of torch")
    stored = dict(module.named_buffers())
    flat = read_module(module.to("meta"), shapes, name_of(function.rpartition(".")[2].lower()), source, partial, lambda: stored)
    return replace(flat, oracle=None if isinstance(make, nn.Module) else make)


def module_object(module: nn.Module, example: Any, partial: bool = False) -> FlatNetwork:
    """Return the graph of a module, with its weights, from an example of its inputs: one tensor or several. Raises CannotRead."""
    tensors = tuple(example) if isinstance(example, (tuple, list)) else (example,)
    kind = type(module).__name__
    copied = copy.deepcopy(module).to("meta")
    shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
    stored = {key: held.cpu() for key, held in module.named_buffers()}
    flat = read_module(copied, shapes, name_of(kind.lower()), kind, partial, lambda: stored)
    return replace(flat, weights=lambda: changed(flat, arrays(module.state_dict())), oracle=lambda: copy.deepcopy(module))


def changed(flat: FlatNetwork, tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return tensors of a source as those of its graph."""
    return tensors if flat.change is None else flat.change(tensors)


def arrays(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Return tensors as numpy arrays."""
    return {key: tensor.detach().cpu().numpy() for key, tensor in state.items()}


def marked(module: nn.Module) -> dict[str, str]:
    """Let modules that drop samples in training leave a trace in a program for evaluation; return by path what is dropped together."""
    modes: dict[str, str] = {}
    for path, part in module.named_modules():
        kind = type(part).__name__
        if kind not in pointwise.SAMPLES:
            continue
        p = getattr(part, "p", None) if kind == "StochasticDepth" else getattr(part, "drop_prob", None)
        if kind == "DropPath" and not getattr(part, "scale_by_keep", True):
            raise CannotRead("it drops samples without scaling the others", kind, path)
        modes[path] = getattr(part, "mode", "row")
        part.forward = lambda x, p=float(p or 0.0): nn.functional.dropout(x, p, training=False)
    return modes
