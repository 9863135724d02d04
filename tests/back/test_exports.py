"""Exported networks do not depend on where a file lies."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch
from torch import fx

from archc import load
from archc.tests.support.places import ran, said_nothing_of_the_machine, written


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, str]]:
    return written(tmp_path_factory.mktemp("places"))


def test_exported_networks_name_no_folder(places: list[tuple[Path, str]], tmp_path: Path) -> None:
    made = []
    for number, (folder, named) in enumerate((places[1], places[6])):
        out = tmp_path / str(number)
        out.mkdir()
        torch.manual_seed(0)
        files = [out / "net.pt2", out / "net.safetensors", out / "net.json"]
        ran(folder, "compile", named, *(word for file in files for word in ("-o", str(file))))
        said_nothing_of_the_machine(b"".join(file.read_bytes() for file in files[1:]))
        with zipfile.ZipFile(files[0]) as archive:
            texts = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        for data in texts.values():
            said_nothing_of_the_machine(data)
        made.append((texts, [file.read_bytes() for file in files[1:]]))
    assert made[0] == made[1]
    module = load(places[0][0] / "net.arch").lower()
    graphs = [part.graph for part in module.modules() if isinstance(part, fx.GraphModule)]
    files = {node.meta["arch"]["file"] for graph in graphs for node in graph.nodes if "arch" in node.meta}
    assert files == {"net.arch", "blocks/stem.arch", "std/residual.arch"}
