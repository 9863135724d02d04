"""Write the graph of the file as JSON in networkx's node-link form; `ArchGraph.from_json` reads it."""

from __future__ import annotations

import json
from pathlib import Path

from archc.compiler.backends import Compiled
from archc.compiler.files import write_text


def write(compiled: Compiled, path: Path) -> None:
    """Write the graph atomically. Raises CannotWrite."""
    write_text(path, json.dumps(compiled.graph.to_json(), indent=1) + "\n")
