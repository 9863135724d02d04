"""Verbs for networks with data: `train`, `evaluate` and `predict`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archc.compiler.driver import check_text
from archc.compiler.elaborate.elaboration import Limits
from archc.compiler.errors import one_of
from archc.compiler.frontends import is_source
from archc.compiler.network import Network
from archc.ui.verbs import sources
from archc.ui.verbs.completion import any_files, words
from archc.ui.verbs.options import Device, File, Input, Json, Set
from archc.ui.verbs.terminal import fail, network, overrides, print_json, refusals, say, talk, unfit_table, usage

if TYPE_CHECKING:
    from archc.training.stored import Stored

ON_BAD = ("stop", "skip")
SCHEDULES = ("1f1b", "gpipe")
SPLITS = ("train", "test")
Data = Annotated[
    str, typer.Option("--data", metavar="FOLDER", help="idx files, CIFAR's, or a folder for each class; or digits, of scikit-learn")
]
Workers = Annotated[int, typer.Option(min=0, help="processes that read images")]
OnBad = Annotated[str, typer.Option("--on-bad", help="stop at a sample that cannot be used, or skip it", autocompletion=words(*ON_BAD))]
Weights = Annotated[
    str,
    typer.Option(
        "--weights", metavar="FILE", help=".safetensors or .pth; needless for a trained network, FILE.safetensors", autocompletion=any_files
    ),
]


@contextmanager
def data_errors() -> Iterator[None]:
    """Print what is wrong with data, devices and weights in plain words, and exit."""
    from archc.compiler.backends.errors import Unfit
    from archc.training.data import BadData
    from archc.training.processes import ProcessLost

    try:
        with refusals():
            yield
    except (BadData, ProcessLost) as error:
        fail(str(error))
    except Unfit as error:
        talk(unfit_table(error.rows))
        fail(f"{error}\n`archc weights FILE --from WEIGHTS -o fitted.safetensors` shows what fits under other names, and writes it")


def train(
    file: File,
    data: Data,
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="FILE", help="a .toml file, or the name of one that comes with archc")
    ] = "digits",
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="where states, logs and the trained network go")] = Path(
        "run"
    ),
    resume: Annotated[bool, typer.Option("--resume", help="go on with the run in the folder, if there is one")] = False,
    weights: Weights = "",
    device: Device = "auto",
    workers: Workers = 0,
    every: Annotated[int, typer.Option(min=0, help="steps between saved states, besides the one after every epoch")] = 0,
    on_bad: OnBad = "stop",
    shard: Annotated[bool, typer.Option("--shard", help="share out the weights over the processes of torchrun (FSDP2)")] = False,
    stages: Annotated[
        int, typer.Option("--stages", min=0, help="one stage of the network for each process of torchrun; archc cuts shows them")
    ] = 0,
    at: Annotated[list[str] | None, typer.Option("--at", metavar="LABEL", help="with --stages: begin one here; may be repeated")] = None,
    schedule: Annotated[
        str, typer.Option(help="with --stages, the order of micro-batches: 1f1b or gpipe", autocompletion=words(*SCHEDULES))
    ] = "1f1b",
    place: Annotated[bool, typer.Option("--place", help="each process of torchrun holds what `place` in the file says")] = False,
    passes: Annotated[int, typer.Option("--passes", min=0, help="passes in which a batch is taken, in place of the recipe's")] = 0,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="also log for TensorBoard")] = False,
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
) -> None:
    """Train a network on labelled images; write states, logs, and the network with its text and weights in one file."""
    one_of("on-bad", on_bad, ON_BAD)
    one_of("schedule", schedule, SCHEDULES)
    if stages and place:
        usage("--stages and --place both say which part of the network a process holds: give one of them")
    if at and not stages:
        usage("--at says where stages begin: give --stages, too")
    net = network(file, overrides(set_, input_), Limits(), json_)
    with data_errors():
        from archc.training import data as samples
        from archc.training import recipe as recipes
        from archc.training.loop import Plan
        from archc.training.loop import train as trained
        from archc.ui.show.progress import progress

        chosen = recipes.read(recipe)
        chosen = chosen.in_passes(passes) if passes else chosen
        learned, tested = samples.load(data, "train"), samples.load(data, "test")
        output.mkdir(parents=True, exist_ok=True)
        plan = Plan(
            graph=net.graph,
            text=alone(net, file),
            recipe=chosen,
            train=learned,
            test=tested,
            folder=output,
            data=data,
            resume=resume,
            device=device,
            workers=workers,
            every=every,
            on_bad=on_bad,
            shard=shard,
            board=tensorboard,
            weights=weights,
            stages=stages,
            at=tuple(at or ()),
            schedule=schedule,
            placed=place,
        )
        with progress(quiet=json_ or int(os.environ.get("RANK", "0")) > 0) as listener:
            result = trained(plan, listener)
    if json_:
        print_json(result.facts())
    elif int(os.environ.get("RANK", "0")) == 0:
        last, best = (f"{100 * rate:.2f} %" for rate in (result.last["top1"], result.best))
        say(f"{net.name}: {result.steps} steps, top-1 {last} on {tested.place}, at best {best}")
        say(f"wrote {output}/model.safetensors: archc evaluate {output}/model.safetensors --data {data}")


def evaluate(
    file: File,
    data: Data,
    weights: Weights = "",
    split: Annotated[str, typer.Option(help="the part of the data: train or test", autocompletion=words(*SPLITS))] = "test",
    device: Device = "auto",
    workers: Workers = 0,
    on_bad: OnBad = "stop",
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Tell how a trained network does on labelled images: top-1, top-5, for each class, what is confused, calibration."""
    one_of("split", split, SPLITS)
    one_of("on-bad", on_bad, ON_BAD)
    with data_errors():
        from archc.training import data as samples
        from archc.training.evaluate import evaluation

        module, stored = loaded(file, weights, device, overrides(set_, None), json_)
        found = evaluation(module, stored, samples.load(data, split), on_bad == "stop", workers)
    if json_:
        print_json(found.facts())
    else:
        say(found.text())


def predict(
    file: File,
    images: Annotated[list[Path], typer.Argument(help="images, or folders of them", metavar="IMAGES...", show_default=False)],
    weights: Weights = "",
    top: Annotated[int, typer.Option(min=1, help="classes for each image")] = 3,
    device: Device = "auto",
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Tell the classes of images, with their probabilities."""
    with data_errors():
        from archc.training.evaluate import images_of, predicted

        module, stored = loaded(file, weights, device, overrides(set_, None), json_)
        found = list(predicted(module, stored, images_of(images), top))
    if json_:
        print_json([each.facts() for each in found])
    else:
        for each in found:
            if each.problem:
                talk(each.problem)
            else:
                say(f"{each.file}: {', '.join(f'{name} {100 * share:.1f} %' for name, share in each.classes)}")
    if any(each.problem for each in found):
        raise typer.Exit(1)


def alone(net: Network, file: Path) -> str:
    """Return a text of a network that needs no other file and no settings: its own, or the expanded one."""
    own = sources.content(file).decode() if not is_source(str(file)) else ""
    again = check_text(own, file.name, Path(os.devnull), mend=False) if own else None
    if again is not None and again.ok and again.graph.same_as(net.graph):
        return own
    text = net.expand()
    again = check_text(text, file.name, Path(os.devnull), mend=False)
    if not again.ok or not again.graph.same_as(net.graph):  # before hours of training: what is written would not be read again
        raise AssertionError(f"the expanded text of {net.name} is not the network that it was made from")
    return text


def loaded(file: Path, weights: str, device: str, changed: Any, json_: bool) -> tuple[Any, Stored]:
    """Return a network with its weights, in evaluation, and what is known of how it was trained."""
    from archc.compiler.backends.torch.lower import lower
    from archc.compiler.backends.torch.run import pick_device
    from archc.compiler.backends.torch.weight_files import load_weights
    from archc.training.loss import tells_distances
    from archc.training.prepare import preparation
    from archc.training.recipe import Recipe
    from archc.training.stored import Stored, read

    net = network(file, changed, Limits(), json_)
    path = weights or str(file)
    trained = path.endswith(".safetensors")
    if not weights and not trained:
        fail(f"{file} has no weights: give them with --weights, or the trained network, FILE.safetensors")
    stored = None
    if trained:
        from archc.compiler.frontends import CannotRead

        try:
            stored = read(Path(path))
        except CannotRead:
            stored = None  # a file of weights alone
    module = lower(net.graph).eval()
    load_weights(module, path, net.name)
    if stored is None:
        stored = Stored("", net.name, preparation=preparation(net.graph, Recipe()).facts(), scores=-1 if tells_distances(net.graph) else 1)
    return module.to(pick_device(device)), stored
