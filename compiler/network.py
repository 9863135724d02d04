"""A network of the Python interface: inspect it, compare it, draw it, lower it. Wrong arguments raise UsageError."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import warn

from archc.compiler.analysis.family import family_of
from archc.compiler.driver import expanded_text
from archc.compiler.elaborate.claims import ClaimResult
from archc.compiler.elaborate.elaboration import Overrides
from archc.compiler.errors import NotInstalled, UsageError, at_least, one_of, one_type
from archc.compiler.graph import ArchGraph
from archc.compiler.report import Report
from archc.compiler.shapes.dim import Dim, Shape
from archc.compiler.variation import Variation

if TYPE_CHECKING:
    from archc.compiler.backends.torch.arch_module import ArchModule
    from archc.compiler.backends.torch.foreign import Fit, State
    from archc.compiler.results.benchmarks import Benchmark
    from archc.compiler.results.compilation import Compilation
    from archc.compiler.results.cuts import Cuts
    from archc.compiler.results.differences import Diff
    from archc.compiler.results.explanations import Explanation
    from archc.compiler.results.memory import Memory
    from archc.compiler.results.profiles import Profile
    from archc.compiler.results.summaries import Summary

LOWERED = (0, 1)  # levels of optimization of trainable modules
LEVELS = (0, 1, 2, 3)  # levels of optimization for inference


class Network:
    """A valid network: its graph and what is known about it. Needs no torch until it is lowered.

    `load` and `loads` return one. `again` checks the same text with other overrides, for `why_not`, and `varied` with other values of
    its parameters, for what `compile` writes.
    """

    def __init__(self, report: Report, again: Callable[[Overrides], Report] | None = None, varied: Variation | None = None) -> None:
        self._report = report
        self._cost = report.cost()
        self._again = again
        self._varied = varied

    def __repr__(self) -> str:
        return f"<Network {self.name}: {self.params:,} parameters, {self.macs} MACs>"

    # ---- properties

    @property
    def name(self) -> str:
        """The name on the `arch` line, or that of the file."""
        return self._report.name

    @property
    def family(self) -> str:
        """The shared file that the network is an instance of (`resnet`), or its own name."""
        return family_of(self.name, self._report.tree)

    @property
    def graph(self) -> ArchGraph:
        """The graph of operators, with shapes and provenance."""
        return self._report.graph

    @property
    def params(self) -> int:
        """Trainable scalars at inference; `params_training` counts training-only parts too."""
        return self._cost.params

    @property
    def params_training(self) -> int:
        """Trainable scalars, including those of auxiliary classifiers."""
        return self._cost.params_training

    @property
    def macs(self) -> Dim:
        """Multiply-accumulates of one sample at inference; a formula where sizes are open. 1 MAC is 2 FLOPs."""
        return self._cost.macs

    @property
    def macs_training(self) -> Dim:
        """Multiply-accumulates of one sample in training, including auxiliary classifiers."""
        return self._cost.macs_training

    @property
    def preprocess(self) -> dict[str, dict[str, Any]]:
        """What the file states of each input's samples, by input: `resize`, `interpolation`, `crop`, `mean`, `std`, `labels`."""
        return {name: dict(facts) for name, facts in self.graph.preprocess.items()}

    @property
    def claims(self) -> list[ClaimResult]:
        """The claims of the file, each of which holds (or is waived, where the caller changed the network)."""
        return self._report.claims

    @property
    def legal(self) -> dict[str, str]:
        """The legal values of every open size: `{"H": "H >= 63"}`."""
        return {legal.name: str(legal) for legal in self._report.legal}

    def __getitem__(self, name: str) -> Shape:
        """Return the output shape, without the batch, of a node or of a labelled part: `net["layer1.0"]`.

        Raises UnknownName, which is a KeyError, with the nearest names.
        """
        from archc.compiler.analysis.parts import nodes_of

        return nodes_of(self.graph, name)[-1].shape

    # ---- analyses

    def check(self) -> Report:
        """Return the report on the file: claims, warnings and counts, as data (`facts()`) and as text (`str()`)."""
        return self._report

    def facts(self) -> dict[str, Any]:
        """Return what `archc check --json` prints, as plain data."""
        return self._report.facts()

    def expand(self) -> str:
        """Return the program with every block, repeat and default written out: the text of a file of the same network."""
        return expanded_text(self._report)

    def stages(self, *, level: int = 0, print_after: str = "all") -> dict[str, str]:
        """Return what the compiler has after each stage, as text, by the name of the stage: `parse`, `elaborate`, passes, `lower`, `torch`.

        `level` is that of optimization; `print_after` names one stage instead of all. Only `torch` imports torch. Raises UsageError for a
        level or a stage that does not exist, and ArchError where sizes are open.
        """
        from archc.compiler.stages import stages

        one_of("level", level, LEVELS)
        return dict(stages(self._report, level, print_after))

    def summary(
        self,
        *,
        depth: int = 2,
        expand: str | Iterable[str] = (),
        flat: bool = False,
        sort: str = "",
        top: int = 10,
        convention: str = "paper",
        layout: str = "chw",
        dtype: str = "float32",
        batch: int = 1,
    ) -> Summary:
        """Tabulate the network: shapes, parameters, MACs, memory and receptive fields, block by block.

        `depth` levels of labels are shown, and all of the parts named by `expand`; `flat` shows a row for every node. `sort` by `params`,
        `macs` or `memory` shows the largest `top` nodes. `convention` names the rule for MACs: `paper`, `torchvision`,
        `torchinfo` or `fvcore`. Shapes are `chw` or `hwc` (`layout`); memory is for values of a `dtype` and a `batch` of samples.
        """
        from archc.compiler.draw.request import patterns
        from archc.compiler.results.summaries import Units, View, summary

        return summary(self.graph, View(depth, patterns(expand), flat, sort, top, convention), Units(layout, dtype, batch))

    def memory(self, *, dtype: str = "float32", batch: int = 1, optimizer: str = "adam", measure: bool = False) -> Memory:
        """Predict the bytes that inference and training need, for values of a dtype, a batch, and an optimizer.

        Optimizers are `sgd`, `momentum` and `adam`. With `measure`, torch runs the network too, on the GPU where there is one. Raises
        UsageError also where sizes are open: pass `inputs` to `load`.
        """
        from archc.compiler.results.memory import memory

        return memory(self.graph, dtype, batch, optimizer, measure)

    def cuts(
        self,
        stages: int,
        *,
        by: str = "macs",
        at: Iterable[str] = (),
        dtype: str = "float32",
        batch: int = 1,
        passes: int = 0,
        optimizer: str = "adam",
    ) -> Cuts:
        """Cut the network into stages that run one after another on devices of their own, balanced by `macs` or `memory`.

        `at` are the labels at which later stages begin, in place of the best ones. Memory is counted for micro-batches of `batch` samples,
        `passes` of which are one step; by default as many as there are stages. Raises UsageError where it cannot be cut so.
        """
        from archc.compiler.results.cuts import cuts

        return cuts(self.graph, stages, by, tuple(at), dtype, batch, passes, optimizer)

    def explain(self, name: str = "", *, back: bool = False) -> Explanation:
        """Derive a node, or the nodes of a labelled part, in words and arithmetic; without a name, every change of shape.

        With `back`, the shape is derived from there back to the input.
        """
        from archc.compiler.results.explanations import explanation

        return explanation(self.graph, name, back)

    def why_not(self, size: str) -> str:
        """Return what fails first at another input shape (`3x160x160`), or the output shapes, and which sizes are legal."""
        from archc.compiler.why_not import why_not

        one_type("size", size, (str,))
        if self._again is None:
            raise UsageError("only a network that was loaded can be checked again")
        return why_not(self._again, size)

    def diff(self, other: Network, *, names: tuple[str, str] = ("", "")) -> Diff:
        """Compare with another network by structure: every change that leads to it, with its effect.

        `names` replaces the names of the two in the result.
        """
        from archc.compiler.results.differences import compared

        if not isinstance(other, Network):
            raise UsageError(f"a network is compared with a network, not with a {type(other).__name__}", given=other)
        return compared(self.graph, other.graph, names)

    # ---- pictures

    def draw(
        self,
        form: str = "svg",
        *,
        style: str = "graph",
        theme: str = "auto",
        heat: str = "",
        legend: bool = True,
        depth: int | None = None,
        expand: str | Iterable[str] = (),
        collapse: str | Iterable[str] = (),
        flat: bool = False,
        labels: str = "",
        hide: str | Iterable[str] = (),
        direction: str = "TB",
        title: str = "",
        scale: float = 1.0,
        dpi: int = 0,
        width: str = "",
        show: str | Iterable[str] = (),
        rename: Mapping[str, str] | Iterable[str] = (),
        animate: bool = False,
        seconds: Mapping[str, float] | None = None,
    ) -> bytes:
        """Draw the network: svg, pdf, png, dot, html, mermaid or tex. The bytes of one network are always the same.

        `style` is `graph` or `paper`; `theme` is `auto`, `light`, `dark` or `print`; `heat` colors by `macs`, `params` or `memory`,
        or by `time`, as `seconds` of nodes by name say (`Profile.seconds`).
        `depth` levels of blocks are opened (by default as many as fit a page); `expand` and `collapse` name blocks by patterns
        (`layer3*`), and `flat` shows every operator. `labels` says what is written: `names`, `args`, `shapes`, `all`
        or `none`; `hide` names options and arguments that are left out (`pad`, `bias`). Raises NoGraphviz where Graphviz is missing,
        TooLarge for a PNG.

        On a page: `direction` is `TB` or `LR`; a `title` brings the counts with it; `width` is a length (`85mm`), or `scale` a factor;
        `dpi` is of png (192 by default, or less where that is too large); `show` writes `params`, `macs`, `memory` (activations of one
        sample in float32) or `field` (receptive field) on the boxes; `rename` maps names in the picture to others.
        With `animate`, an svg shows its boxes one after the other.
        """
        from archc.compiler.draw.request import asked_of, network_picture

        drawn = {"style": style, "theme": theme, "heat": heat, "legend": legend, "labels": labels, "hide": hide}
        shown = {"depth": depth, "expand": expand, "collapse": collapse, "flat": flat}
        page = {"direction": direction, "title": title, "scale": scale, "dpi": dpi, "width": width, "show": show, "rename": rename}
        return network_picture(self.graph, *asked_of(form, **drawn, **shown, **page, animate=animate), seconds)

    def draw_steps(self, form: str = "svg", seconds: Mapping[str, float] | None = None, **options: Any) -> list[bytes]:
        """Draw the network as it grows, for a lecture: a picture for each box, all of one size and with everything in its place.

        Form is svg, pdf or png; options are those of `draw`. Raises UsageError for the style `paper`.
        """
        from archc.compiler.draw.request import asked_of, network_steps

        return network_steps(self.graph, *asked_of(form, **options), seconds)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return what a notebook shows: a picture, inline and as SVG; text where Graphviz is missing."""
        from archc.compiler.draw.layout import NoGraphviz
        from archc.compiler.draw.svg import inline

        try:
            svg = self.draw().decode()
        except NoGraphviz:
            return {"text/plain": repr(self)}
        return {"text/plain": repr(self), "text/html": inline(svg), "image/svg+xml": svg}

    # ---- torch

    def lower(self, *, level: int = 0) -> ArchModule:
        """Build a torch.fx GraphModule in training mode, initialized as the file states; at level 1 activations are in place.

        It takes one tensor `(N, *shape)` for each input, and returns a tensor, or a dict by name where there are several outputs. Blocks
        are modules: `module.layer4` has hooks, and can be called. Uses torch's random number generator. Raises ArchError where sizes are
        open, UsageError for another level.
        """
        one_of("level", level, LOWERED)
        from archc.compiler.backends.torch.lower import lower

        return lower(self.graph, level)

    def optimize(self, module: ArchModule, *, batch: int = 1, level: int = 2) -> Callable[..., Any]:
        """Build a fast function for inference, with the weights, device and dtype of a lowered module.

        `batch` is the usual number of samples; others run as well. Level 1 is bit-equal, 2 folds and packs, 3 adds torch's compiler.
        The module is not changed. Raises ValueError for a module that was changed, UsageError for one of another network.
        """
        one_of("level", level, LEVELS)
        at_least("batch", batch, 1)
        from archc.compiler.backends.torch.arch_module import ArchModule, source_of
        from archc.compiler.backends.torch.lower import random_inputs
        from archc.compiler.backends.torch.optimize import optimized

        if not isinstance(module, ArchModule):
            raise UsageError(f"is what `lower` returned, not a {type(module).__name__}", option="module", given=type(module).__name__)
        if not source_of(module).same_as(self.graph):
            raise UsageError(f"was lowered from another network, {source_of(module).name}", option="module", given=source_of(module).name)
        tensor = next(module.parameters(), None)
        inputs = random_inputs(self.graph, batch) if tensor is None else random_inputs(self.graph, batch, tensor.device, tensor.dtype)
        return optimized(module, self.graph, inputs, level)

    def compile(
        self,
        *paths: str | Path,
        level: int = 0,
        device: str = "auto",
        dtype: str = "float32",
        batch: int = 1,
        weights: str | Path = "",
        allow_nan: bool = False,
        run: bool = True,
        verify: bool = False,
        **settings: Any,
    ) -> Compilation:
        """Lower the network, run it once on random input, and write files, by their suffixes, as `archc compile -o` does.

        Everything is checked before the first file is written, and a file is written completely or not at all. `level` is that of
        optimization. `weights` is a file of weights, or `torchvision:NAME`; otherwise they are drawn as the file states. Without `run`, or
        where torch is not installed, the network runs only where something that is written needs that: a `.json` needs only the graph.
        `verify` runs what was written, and compares it with the network. `settings` are the options of the formats: `opset=18`.

        Raises UsageError, NoDevice, NoMemory, Unfit and Unreadable for weights, CannotWrite, and NotInstalled, which is a
        ModuleNotFoundError, where a module that is needed is missing.
        """
        from archc.compiler.results.compilation import Request, compilation

        for path in paths:
            one_type("path", path, (str, PathLike))
        one_type("weights", weights, (str, PathLike))
        places = tuple(Path(path) for path in paths)
        request = Request(places, level, device, dtype, batch, str(weights), allow_nan, run, verify, settings)
        return compilation(self.graph, request, warn, varied=self._varied)

    def onnx_without_weights(self) -> bytes:
        """Return the network for inference as ONNX whose weights are inputs, after its own inputs and under their keys, in float32.

        Nothing is drawn, so torch is not needed. Raises ArchError for what ONNX cannot say, and NotInstalled, which is a
        ModuleNotFoundError, where onnx or numpy is missing.
        """
        try:
            from archc.compiler.backends.onnx.write import without_weights
        except ModuleNotFoundError as missing:
            raise NotInstalled(missing.name or "onnx", "onnx", wants="ONNX") from missing
        return without_weights(self.graph)

    def bench(
        self,
        *,
        device: str = "auto",
        dtype: str = "float32",
        batch: int | Sequence[int] = 1,
        threads: int | Sequence[int] | None = None,
        runs: int = 9,
        upto: int = 2,
    ) -> Benchmark:
        """Time the levels of optimization up to `upto` on this machine, for one or several numbers of samples and of threads.

        Devices are `auto`, `cpu` and `cuda`; dtypes `float32`, `bfloat16` and `float16`. Raises NoDevice and NoMemory.
        """
        from archc.compiler.results.benchmarks import benchmark

        return benchmark(self.graph, device, dtype, batch, threads, runs, upto)

    def profile(
        self,
        *,
        device: str = "auto",
        dtype: str = "float32",
        batch: int = 1,
        threads: int | None = None,
        level: int = 0,
        runs: int = 20,
        weights: str | Path = "",
        depth: int = 2,
        expand: str | Iterable[str] = (),
        flat: bool = False,
    ) -> Profile:
        """Measure the time and the memory of every layer and block at inference, at a level of optimization from 0 to 2.

        Every layer is timed in `runs` runs, in turn with runs of the whole network. `depth`, `expand` and `flat` choose the rows, as for
        `summary`. `weights` is a file of weights; otherwise they are drawn as the file states. Raises UsageError, NoDevice, NoMemory,
        Unfit and Unreadable.
        """
        from archc.compiler.draw.request import patterns
        from archc.compiler.results.profiles import Setting, profile
        from archc.compiler.results.summaries import View

        one_type("weights", weights, (str, PathLike))
        setting = Setting(device, dtype, batch, threads, level, runs, str(weights))
        return profile(self.graph, setting, View(depth, patterns(expand), flat))

    def weights(self, path: str | Path) -> tuple[Fit, State]:
        """Match a .pth or .safetensors file with other keys to the network. Returns how each key was matched, and the renamed tensors.

        Keys are matched by name, else by order and shapes (`Fit`). Raises Unreadable for a file that holds no weights.
        """
        from archc.compiler.backends.torch.weight_files import fitted

        return fitted(self.graph, Path(path))
