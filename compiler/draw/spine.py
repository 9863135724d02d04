"""The main path of a picture: the longest path to the main output, drawn as a straight line."""

from __future__ import annotations

from archc.compiler.draw.scene import Edge, Scene


def mark_spine(scene: Scene) -> None:
    """Mark the edges of the longest path that ends at the main output."""
    into: dict[str, list[Edge]] = {}
    for edge in scene.edges:
        into.setdefault(edge.target, []).append(edge)
    order = [box.id for box in scene.shown()]
    depth = dict.fromkeys(order, 0)
    for name in order:  # operands precede their users
        depth[name] = max((depth[edge.source] + 1 for edge in into.get(name, [])), default=0)
    ends = [box for box in scene.shown() if box.family == "output" and not box.training_only]
    name = ends[0].id if ends else max(order, key=lambda box: depth[box], default="")
    seen: set[str] = set()
    while into.get(name) and name not in seen:
        seen.add(name)
        edge = max(into[name], key=lambda edge: depth[edge.source])
        edge.spine = True
        name = edge.source


def main_paths(scene: Scene) -> list[list[str]]:
    """Return the paths of marked edges, each as the ids of its boxes in order: one, but where boxes have been left out of a scene."""
    after = {edge.source: edge.target for edge in scene.edges if edge.spine}
    targets = set(after.values())
    found = [[box.id] for box in scene.shown() if box.id in after and box.id not in targets]
    for path in found:
        while path[-1] in after:
            path.append(after[path[-1]])
    return found
