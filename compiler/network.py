"""The Python interface: load a network, look at it, lower it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.compiler.driver import Report, check, check_text, expanded_text, parse_overrides, require_network
from archc.compiler.elaborate.claims import ClaimResult
from archc.compiler.elaborate.elaboration import Limits
from archc.compiler.graph import ArchGraph
from archc.compiler.ops.kinds import exact
from archc.compiler.shapes.dim import Dim, Shape
from archc.dsl.errors import ArchError

if TYPE_CHECKING:
    from archc.compiler.backends.torch.arch_module import ArchModule

__all__ = ["ArchError", "Network", "load", "loads"]


def load(path: str | Path, *, inputs: str | Mapping[str, str] | None = None, limits: Limits | None = None, **settings: Any) -> Network:
    """Load and check a `.arch` file.

    `settings` override parameters of its `arch` line (`depths=[3, 4, 23, 3]`, or text as `--set` takes it),
    `inputs` the shape of its input (`"3x299x299"`) or of several by name. Raises ArchError with every mistake.
    """
    overrides = parse_overrides(_texts(settings), _inputs(inputs))
    return Network(require_network(check(Path(path), overrides, limits)))


def loads(text: str, *, inputs: str | Mapping[str, str] | None = None, limits: Limits | None = None, **settings: Any) -> Network:
    """As `load`, for a text; `use` looks in the current folder and in `archs/`."""
    overrides = parse_overrides(_texts(settings), _inputs(inputs))
    return Network(require_network(check_text(text, overrides=overrides, limits=limits)))


def _texts(settings: Mapping[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else exact(_frozen(value)) for name, value in settings.items()}


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, (list, tuple)) else value


def _inputs(inputs: str | Mapping[str, str] | None) -> dict[str, str]:
    return {"": inputs} if isinstance(inputs, str) else dict(inputs or {})


class Network:
    """A sound network: its graph and what is known of it, without torch until it is lowered."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._cost = report.cost()

    def __repr__(self) -> str:
        return f"<Network {self.name}: {self.params:,} parameters, {self.macs} MACs>"

    @property
    def name(self) -> str:
        return self._report.name

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
        return self._cost.params_training

    @property
    def macs(self) -> Dim:
        """Multiply-accumulates of one sample at inference; a formula where sizes are open. 1 MAC is 2 FLOPs."""
        return self._cost.macs

    @property
    def macs_training(self) -> Dim:
        """The same for a forward pass in training, whose auxiliary classifiers count too."""
        return self._cost.macs_training

    @property
    def claims(self) -> list[ClaimResult]:
        """What the file claims, each held (or waived, where the caller changed the network)."""
        return self._report.claims

    @property
    def legal(self) -> dict[str, str]:
        """The legal values of every open size: `{"H": "H >= 63"}`."""
        return {legal.name: str(legal) for legal in self._report.legal}

    def __getitem__(self, name: str) -> Shape:
        """The output shape, without the batch, of a node or of a labelled part: `net["layer1.0"]`."""
        if name in self.graph:
            return self.graph[name].shape
        inside = [node for node in self.graph if node.name.startswith(name + ".")]
        if not inside:
            raise KeyError(name)
        return inside[-1].shape

    def facts(self) -> dict[str, Any]:
        """What `archc check --json` prints."""
        return self._report.facts()

    def expand(self) -> str:
        """The program with every block, repeat and default written out."""
        return expanded_text(self._report)

    def draw(self, form: str = "svg", *, style: str = "graph", theme: str = "auto", **folding: Any) -> bytes:
        """A picture: svg, pdf, png, dot, html, mermaid or tex.

        `style` is `graph` or `paper`; `depth`, `expand`, `collapse` and `flat` say how much is shown (`draw.fold.Folding`).
        Raises ValueError for a format, style or theme that there is not, and `draw.layout.NoGraphviz` where Graphviz is missing.
        """
        from archc.compiler.draw.fold import Folding, scene
        from archc.compiler.draw.picture import picture
        from archc.compiler.draw.style import Look

        return picture(scene(self.graph, Folding(**folding)), form, style, Look(theme))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: a picture, and text where there is no Graphviz."""
        from archc.compiler.draw.layout import NoGraphviz

        try:
            return {"text/plain": repr(self), "image/svg+xml": self.draw().decode()}
        except NoGraphviz:
            return {"text/plain": repr(self)}

    def lower(self, *, level: int = 0) -> ArchModule:
        """A torch.fx GraphModule in training mode, with the initialisation that the file states; at level 1 activations are in place.

        Takes one tensor `(N, *shape)` for each input; returns a tensor, or a dict by name where there are several outputs. Blocks are
        modules too: `module.layer4` has hooks, and can be called.
        """
        from archc.compiler.backends.torch.lower import lower

        return lower(self.graph, level)

    def optimise(self, module: ArchModule, *, batch: int = 1, level: int = 2) -> Callable[..., Any]:
        """A network for inference with the weights, device and dtype of a lowered one, as fast as this knows.

        `batch` is the usual one; others run as well. Level 1 is bit-equal, 2 folds and packs, 3 lets torch's compiler try too.
        """
        from archc.compiler.backends.torch.lower import random_inputs
        from archc.compiler.backends.torch.optimize import optimized

        tensor = next(module.parameters(), None)
        inputs = random_inputs(self.graph, batch)
        return optimized(module, self.graph, inputs if tensor is None else [x.to(tensor) for x in inputs], level)
