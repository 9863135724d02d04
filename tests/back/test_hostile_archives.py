"""Hostile archives: weights of Keras and programs of torch come from the file alone, and take no more memory than it has bytes."""

from __future__ import annotations

import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archc.compiler.frontends import keras as keras_front
from archc.compiler.frontends import read as read_source
from archc.compiler.frontends.flat import CannotRead
from archc.tests.support import keras
from archc.tests.support.refusals import outcome

# ---- Keras


def archive(path: Path, config: object, weights: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("config.json", json.dumps(config))
        made.writestr("model.weights.h5", weights)
    return path


DENSE = keras.functional([keras.source("x", 4), keras.layer("Dense", "d", "x", units=2)], ["x"], ["d"])


def refusal(path: Path, change: Callable[[Any, Any], None]) -> str:
    """What reading the weights of an archive says, whose HDF5 file a function of the file and of the layer's variables has changed."""
    h5py = pytest.importorskip("h5py")
    held = path.parent / "held.h5"
    with h5py.File(held, "w") as file:
        own = file.create_group("layers/dense/vars")
        own.attrs["name"] = "d"
        own["0"], own["1"] = np.ones((4, 2), np.float32), np.zeros(2, np.float32)
        change(file, own)
    network = keras_front.read(archive(path, DENSE, held.read_bytes()))
    assert network.weights is not None
    return outcome(network.weights)


def test_weights_of_keras_come_from_the_archive_alone(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path, secret = tmp_path / "net.keras", tmp_path / "secret"
    secret.write_bytes(b"\x01" * 32)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.ones((4, 2), np.float32)

    def elsewhere(file: Any, own: Any) -> None:
        del own["0"]
        own.create_dataset("0", (4, 2), np.float32, external=[(str(secret), 0, 32)])

    def linked(file: Any, own: Any) -> None:
        del own["0"]
        own["0"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")

    def virtual(file: Any, own: Any) -> None:
        del own["0"]
        layout = h5py.VirtualLayout((4, 2), np.float32)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (4, 2))
        own.create_virtual_dataset("0", layout)

    def softly(file: Any, own: Any) -> None:
        file["layers/other"] = h5py.SoftLink("/layers/dense")

    def around(file: Any, own: Any) -> None:
        file["layers/dense/layers"] = file["layers"]

    def huge(file: Any, own: Any) -> None:
        del own["0"]
        own.create_dataset("0", (2**40, 2), np.float32)

    def texts(file: Any, own: Any) -> None:
        del own["0"]
        own["0"] = np.array([b"x"] * 8)

    assert refusal(path, lambda file, own: None) == ""
    assert "is in another file" in refusal(path, elsewhere)
    assert "link to another place" in refusal(path, linked)
    assert "is in another file" in refusal(path, virtual)
    assert "link to another place" in refusal(path, softly)
    assert "nested more than" in refusal(path, around)
    assert "2,199,023,255,552 values" in refusal(path, huge)
    assert "of the type" in refusal(path, texts)
    assert "has 1 variables of it" in refusal(path, lambda file, own: own.__delitem__("1"))


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "net.keras", DENSE, b"no HDF5")
    network = keras_front.read(path)
    assert network.weights is not None
    assert "cannot be read" in outcome(network.weights)
    whole = path.read_bytes()
    for seed in range(30):
        draw = random.Random(seed)
        broken = bytearray(whole)
        for _ in range(3):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        path.write_bytes(bytes(broken[: draw.choice((len(broken), len(broken) // 2))]))
        outcome(lambda: keras_front.read(path))
    small = bytearray(whole)  # the size that the head states is smaller than what is packed
    at = small.rindex(b"PK\x01\x02", 0, small.rindex(b"model.weights.h5"))
    small[small.rindex(b"PK\x01\x02", 0, at) + 24 : small.rindex(b"PK\x01\x02", 0, at) + 28] = (5).to_bytes(4, "little")
    path.write_bytes(bytes(small))
    assert outcome(lambda: keras_front.read(path))


# ---- torch


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "net.pt2"
    torch.export.save(torch.export.export(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)).eval(), (torch.randn(2, 3, 2, 2),)), path)
    return path


def copied(path: Path, change: Callable[[str, bytes], bytes], also: dict[str, bytes] | None = None) -> Path:
    """A copy of a program whose parts a function has changed, with further parts."""
    made = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        for name, data in (also or {}).items():
            new.writestr(name, data)
    return made


def same(name: str, data: bytes) -> bytes:
    return data


def test_a_program_is_read(program: Path) -> None:
    assert outcome(lambda: read_source(str(copied(program, same)))) == ""


def test_nested_json_of_a_program_is_refused(program: Path) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    for part in ("models/model.json", "data/weights/model_weights_config.json"):
        path = copied(program, lambda name, data, part=part: deep if name.endswith(part) else data)  # type: ignore[misc]
        assert "is not an exported program" in outcome(lambda path=path: read_source(str(path)))  # type: ignore[misc]


def test_parts_that_overlap_are_refused(program: Path) -> None:
    """Many entries of the directory may name the same bytes, which are then read many times."""
    data = copied(program, same).read_bytes()
    end = data.rindex(b"PK\x05\x06")
    start = int.from_bytes(data[end + 16 : end + 20], "little")
    directory = data[start:end]
    many = bytearray(data[:start] + directory * 50 + data[end:])
    at = many.rindex(b"PK\x05\x06")
    count = int.from_bytes(many[at + 8 : at + 10], "little") * 50
    many[at + 8 : at + 12] = count.to_bytes(2, "little") * 2
    many[at + 12 : at + 16] = (len(directory) * 50).to_bytes(4, "little")
    path = program.with_name("many.pt2")
    path.write_bytes(bytes(many))
    assert "larger than the file" in outcome(lambda: read_source(str(path)))


def test_sizes_that_weights_do_not_have_are_refused(program: Path) -> None:
    def larger(name: str, data: bytes) -> bytes:
        if "weights_config" not in name:
            return data
        return data.replace(b'{"as_int": 12}', b'{"as_int": 1099511627776}')

    assert "is not an exported program" in outcome(lambda: read_source(str(copied(program, larger))))


def test_nothing_is_written_outside(program: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    folder.mkdir(parents=True)
    path = copied(program, same, {"net/../../../outside": b"x", "/tmp/archc-outside": b"x"})
    before = set(tmp_path.rglob("*"))
    outcome(lambda: read_source(str(path)))
    assert set(tmp_path.rglob("*")) == before and not Path("/tmp/archc-outside").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    for name in ("net.pt2", "net.onnx"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(CannotRead, match=r"pipe|regular"):
            read_source(str(tmp_path / name))
