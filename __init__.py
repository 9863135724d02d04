"""archc: networks as text, compiled: parsed, checked, counted, drawn, and lowered to torch.

import archc

net = archc.load("archs/resnet152.arch")
print(net.params, net.macs, net["layer4"])  # 60192808 11513626624 (2048, 7, 7)
model = net.lower()  # a torch.fx.GraphModule; torch is imported here
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archc.compiler.network import ArchError, Network, load, loads
    from archc.compiler.version import __version__

__all__ = ["ArchError", "Network", "__version__", "load", "loads"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `import archc` and the start of the command line cost next to nothing."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module 'archc' has no attribute '{name}'")
    value = getattr(import_module("archc.compiler.version" if name == "__version__" else "archc.compiler.network"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
