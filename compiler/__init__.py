"""The compiler: a network as text, checked, counted, and lowered to torch.

from compiler import load

net = load("archs/resnet152.arch")
print(net.params, net.macs, net["layer4"])  # 60192808 11513626624 (2048, 7, 7)
model = net.lower()                         # a torch.fx.GraphModule; torch is imported here
"""

from __future__ import annotations

from compiler.network import ArchError, Network, load, loads

__all__ = ["ArchError", "Network", "load", "loads"]
