"""archc: networks as text, compiled: parsed, checked, counted, drawn, and lowered to torch.

import archc

net = archc.load("archs/resnet152.arch")
print(net.params, net.macs, net["layer4"])  # 60192808 11513626624 (2048, 7, 7)
model = net.lower()  # a torch.fx.GraphModule; torch is imported here
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archc.compiler.analysis.diff import Change
    from archc.compiler.analysis.family import Entry
    from archc.compiler.analysis.summary import Row
    from archc.compiler.elaborate.claims import ClaimResult
    from archc.compiler.elaborate.elaboration import Limits
    from archc.compiler.errors import UnknownName, UsageError
    from archc.compiler.library import check, format, layer_table, load, loads, read, table
    from archc.compiler.network import Network
    from archc.compiler.report import Report
    from archc.compiler.results.benchmarks import Benchmark
    from archc.compiler.results.columns import Look
    from archc.compiler.results.compilation import Compilation, Written
    from archc.compiler.results.cuts import Cuts
    from archc.compiler.results.differences import Diff
    from archc.compiler.results.explanations import Explanation
    from archc.compiler.results.families import Comparison
    from archc.compiler.results.layer_tables import LayerTable
    from archc.compiler.results.memory import Memory
    from archc.compiler.results.summaries import Summary
    from archc.compiler.version import __version__
    from archc.dsl.diagnostics import Diagnostic
    from archc.dsl.errors import ArchError

# The module of each public name. A name is imported on first use, which keeps `import archc` fast.
_PLACES = {
    "compiler.library": ("check", "format", "layer_table", "load", "loads", "read", "table"),
    "compiler.network": ("Network",),
    "compiler.report": ("Report",),
    "compiler.errors": ("UnknownName", "UsageError"),
    "compiler.elaborate.elaboration": ("Limits",),
    "compiler.elaborate.claims": ("ClaimResult",),
    "compiler.analysis.diff": ("Change",),
    "compiler.analysis.family": ("Entry",),
    "compiler.analysis.summary": ("Row",),
    "compiler.results.benchmarks": ("Benchmark",),
    "compiler.results.compilation": ("Compilation", "Written"),
    "compiler.results.cuts": ("Cuts",),
    "compiler.results.differences": ("Diff",),
    "compiler.results.explanations": ("Explanation",),
    "compiler.results.columns": ("Look",),
    "compiler.results.families": ("Comparison",),
    "compiler.results.layer_tables": ("LayerTable",),
    "compiler.results.memory": ("Memory",),
    "compiler.results.summaries": ("Summary",),
    "compiler.version": ("__version__",),
    "dsl.diagnostics": ("Diagnostic",),
    "dsl.errors": ("ArchError",),
}

__all__ = [
    "ArchError",
    "Benchmark",
    "Change",
    "ClaimResult",
    "Comparison",
    "Compilation",
    "Cuts",
    "Diagnostic",
    "Diff",
    "Entry",
    "Explanation",
    "LayerTable",
    "Limits",
    "Look",
    "Memory",
    "Network",
    "Report",
    "Row",
    "Summary",
    "UnknownName",
    "UsageError",
    "Written",
    "__version__",
    "check",
    "format",
    "layer_table",
    "load",
    "loads",
    "read",
    "table",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    from importlib import import_module

    place = next((place for place, names in _PLACES.items() if name in names), None)
    if place is None:
        raise AttributeError(f"module 'archc' has no attribute '{name}'")
    value = getattr(import_module(f"archc.{place}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
