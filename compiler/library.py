"""The functions of the Python interface: load, check or format a file or a text, and compare networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from archc.compiler.driver import check as check_file
from archc.compiler.driver import check_text, parse_overrides, require_network
from archc.compiler.elaborate.elaboration import Limits, Overrides
from archc.compiler.elaborate.loader import Loader
from archc.compiler.errors import UsageError, at_least, one_type
from archc.compiler.frontends import read_module, shape_of
from archc.compiler.network import Network
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import Word, exact
from archc.compiler.report import Report
from archc.compiler.results.families import Comparison
from archc.compiler.results.summaries import Units
from archc.compiler.variation import Variation
from archc.dsl.errors import ArchError
from archc.dsl.formatter import format_text

if TYPE_CHECKING:
    from archc.compiler.analysis.family import Entry
    from archc.compiler.results.layer_tables import LayerTable

Inputs = str | Mapping[str, str] | None
Settings = Mapping[str, Any] | None


def load(path: str | Path, *, inputs: Inputs = None, limits: Limits | None = None, settings: Settings = None, **parameters: Any) -> Network:
    """Load and check a `.arch` file.

    `inputs` is the shape of its input (`"3x299x299"`, or `"3xHxW"` for formulas) or of several by name; `settings`, or keywords, set
    parameters of its `arch` line: to numbers, words, lists, or text as `--set` takes it. A parameter with the name `inputs`,
    `limits` or `settings` is set by `settings={"inputs": 4}`. Raises ArchError with all errors of the file.
    """
    one_type("path", path, (str, PathLike))
    _check_limits(limits)
    overrides = _overrides(inputs, settings, parameters)
    again = partial(check_file, Path(path), limits=limits, mend=False)
    return Network(require_network(check_file(Path(path), overrides, limits)), Again(again, overrides), Variation(again, overrides))


def loads(text: str, *, inputs: Inputs = None, limits: Limits | None = None, settings: Settings = None, **parameters: Any) -> Network:
    """Load and check a text, like `load`. Its `use` lines refer to the current folder and to `archs/`."""
    one_type("text", text, (str,))
    _check_limits(limits)
    overrides = _overrides(inputs, settings, parameters)
    folder = Path.cwd()
    again = partial(check_text, text, folder=folder, limits=limits, mend=False)
    report = check_text(text, folder=folder, overrides=overrides, limits=limits)
    return Network(require_network(report), Again(again, overrides), Variation(again, overrides))


def read(source: Any, example: Any = None, *, inputs: Inputs = None, call: bool = False, partial: bool = False) -> Network:
    """Read a network of another framework, and return it as one of ours; its keys are those of the source.

    `source` is what `archc read` takes, `"torchvision:resnet18"`, `"timm:resnet18?num_classes=10"` or a file of another framework, or a
    module of torch with an `example` of its inputs: a tensor, or several, with a batch. `inputs` is the shape of the input, where the
    source does not say; `call` permits a source to run Python: `"package.models:make"`. With `partial`, operators that cannot be read are
    holes of the shapes that the source states; such a network checks, and cannot be lowered.
    Raises UsageError for a source that nothing reads, and `frontends.CannotRead`, with the operator and its place, for a network that
    cannot be read.
    """
    from archc.compiler.reading import folded, read_text  # which only this function needs

    if isinstance(source, (str, PathLike)):
        if example is not None:
            raise UsageError("is for a module of torch, and the source is text", option="example")
        listed = [inputs] if isinstance(inputs, str) else list((inputs or {}).values())
        return loads(read_text(str(source), [shape_of(shape) for shape in listed], call, partial=partial).text)
    if example is None:
        raise UsageError("is needed for a module of torch: a tensor, or several, with a batch", option="example")
    if inputs is not None:
        raise UsageError("is for sources that are named by text; the example says what the inputs of a module are", option="inputs")
    return loads(folded(read_module(source, example, partial)).text)


def check(
    path: str | Path | None = None,
    *,
    text: str | None = None,
    inputs: Inputs = None,
    limits: Limits | None = None,
    settings: Settings = None,
    mend: bool = True,
) -> Report:
    """Check a file or a text that may have errors. They are data in the report, never an exception.

    A report has `diagnostics` (errors), `warnings`, `claims` and counts; `str()` renders it. With `mend`, repairs are sought and tried
    on the whole file. Raises UsageError unless one of path and text is given, ArchError for `inputs` or `settings` that cannot be read.
    """
    if (path is None) == (text is None):
        raise UsageError("check takes a path, or text=...")
    one_type("path", path, (str, PathLike, NoneType))
    one_type("text", text, (str, NoneType))
    _check_limits(limits)
    overrides = _overrides(inputs, settings, {})
    if path is not None:
        return check_file(Path(path), overrides, limits, mend=mend)
    assert text is not None
    return check_text(text, overrides=overrides, limits=limits, mend=mend)


def format(text: str) -> str:
    """Return a text in canonical form, with its comments and line breaks. Raises ArchError for syntax errors."""
    one_type("text", text, (str,))
    read = Loader().text("text.arch", text.encode(errors="surrogatepass"), Path())
    if read.problems:
        raise ArchError(read.problems)
    return format_text(read.source, OPERATORS)


Networks = Iterable[Network | tuple[str, Network]]


def table(networks: Networks, *, dtype: str = "float32", batch: int = 1) -> Comparison:
    """Compare networks: parameters, MACs, layers, receptive fields, and memory for values of a dtype and a batch of samples.

    Each is a network, or a pair of its name in the table and the network. `shown` of the result returns the table with other columns,
    units and order, `with_data` with columns of your own, and `plot` draws it. Raises UsageError for an unknown dtype.
    """
    units = Units(dtype=dtype, batch=batch)
    return Comparison(tuple(_entry(name, net, units) for name, net in _named(networks)))


def layer_table(networks: Networks, *, notation: str = "kernels") -> LayerTable:
    """Print the layers of networks as papers do: a row for each resolution, a column for each network, blocks in brackets.

    `notation` is `kernels` (`3×3, 64`) or `layers` (`conv3-64`). Raises UsageError for another one, and where there is no network.
    """
    from archc.compiler.results.layer_tables import layer_table as laid_out

    named = _named(networks)
    return laid_out([(_entry(name, net, Units()), net.graph) for name, net in named], notation)


def _entry(name: str, net: Network, units: Units) -> Entry:
    from archc.compiler.analysis.family import entry

    waived = tuple(claim.text for claim in net.claims if claim.waived)
    return replace(entry(name, net.graph, units.dtype, units.batch), family=net.family, waived=waived)


def _named(networks: Networks) -> list[tuple[str, Network]]:
    """Return networks with their names. Raises UsageError for anything else."""
    one_type("networks", networks, (Iterable,))
    named = [(each.name, each) if isinstance(each, Network) else each for each in networks]
    for each in named:
        if not (isinstance(each, tuple) and [*map(type, each)] == [str, Network]):
            raise UsageError(f"are networks, or pairs of a name and a network, not {each!r}", option="networks", given=each)
    return named


def _overrides(inputs: Inputs, settings: Settings, parameters: Mapping[str, Any]) -> Overrides:
    """Read the overrides of the caller. Raises UsageError for values that are no settings, ArchError for those that cannot be parsed."""
    given = {} if settings is None else settings
    if not isinstance(given, Mapping):
        raise UsageError("is a mapping from parameters to values; a parameter of this name is set by settings={'settings': ...}",
                         option="settings", given=type(settings).__name__)  # fmt: skip
    if twice := sorted(given.keys() & parameters.keys()):
        raise UsageError(f"and the keywords both set {twice[0]}", option="settings", given=twice[0])
    one_type("inputs", inputs, (str, Mapping, NoneType))
    shapes = {"": inputs} if isinstance(inputs, str) else {} if inputs is None else inputs
    for name, shape in shapes.items():
        one_type("inputs", name, (str,))
        one_type("inputs", shape, (str,))
    for name in given:
        one_type("settings", name, (str,))
    return parse_overrides({name: _written(name, value) for name, value in {**given, **parameters}.items()}, dict(shapes))


def _written(name: str, value: Any) -> str:
    """Return a value of Python in the notation of the language."""
    return value if isinstance(value, str) else exact(_frozen(name, value))


def _frozen(name: str, value: Any) -> Any:
    """Return a value of Python as a value of the language. Raises UsageError for one of another type."""
    if isinstance(value, list | tuple):
        return tuple(_frozen(name, item) for item in value)
    if isinstance(value, str):
        return Word(value)
    if isinstance(value, bool | int | float | Word):
        return value
    raise UsageError(f"is a number, a word, yes or no, or a list of them, not a {type(value).__name__}", option=name, given=value)


@dataclass(frozen=True)
class Again:
    """Checks the same file or text with other inputs, and the settings that it was loaded with. It can be pickled."""

    check: Callable[..., Report]
    overrides: Overrides

    def __call__(self, changed: Overrides) -> Report:
        """Return the report with the inputs of `changed`."""
        return self.check(overrides=Overrides(self.overrides.settings, changed.inputs))


def _check_limits(limits: Limits | None) -> None:
    one_type("limits", limits, (Limits, NoneType))
    if limits is not None:
        at_least("max_nodes", limits.max_nodes, 1)
        at_least("max_nesting", limits.max_nesting, 1)
