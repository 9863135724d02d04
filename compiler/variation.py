"""The same file with other values of the parameters of its `arch` line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from archc.compiler.driver import parse_overrides
from archc.compiler.elaborate.elaboration import Overrides
from archc.compiler.graph import ArchGraph
from archc.compiler.ops.kinds import exact
from archc.compiler.report import Report

Number = bool | int | float


@dataclass(frozen=True)
class Variation:
    """Elaborates a file again with some parameters changed. It can be pickled where `check` can.

    `check` takes `overrides`, and `given` are those that the file was checked with.
    """

    check: Callable[..., Report]
    given: Overrides

    def __call__(self, values: Mapping[str, Number]) -> ArchGraph | None:
        """Return the network with these values of its parameters; None where the file does not allow them."""
        changed = parse_overrides({name: exact(value) for name, value in values.items()}, {})
        report = self.check(overrides=Overrides({**self.given.settings, **changed.settings}, self.given.inputs))
        return report.graph if report.ok and report.has_network else None
