"""The modules of nodes that a writer has put in without saying where, as a split in place of several slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from archc.compiler.frontends.onnx.model import Node


def located(nodes: Sequence[Node]) -> list[Node]:
    """Return nodes, given in order, of which each that states no module is in the innermost one around all that take its values."""
    if not any(node.scopes for node in nodes):
        return list(nodes)
    inner = {path for node in nodes for path in node.scopes[:-1]}
    users: dict[str, list[Node]] = {}
    found = []
    for node in reversed(nodes):
        if not node.scopes and node.op != "Constant":
            around = [user for name in node.outputs for user in users.get(name, ())]
            shared = takewhile(lambda paths: len(set(paths)) == 1, zip(*(user.scopes for user in around), strict=False))
            scopes = tuple(paths[0] for paths in shared)
            if scopes and scopes[-1] not in inner:
                scopes = scopes[:-1]
            classes = around[0].classes[: len(scopes)] if around else ()
            node = replace(node, scopes=scopes, classes=classes)
        for name in dict.fromkeys(node.inputs):
            users.setdefault(name, []).append(node)
        found.append(node)
    return found[::-1]
