"""Labelled samples from local files: the table FORMATS, and a function for each format. Nothing is ever downloaded.

A data set is a sequence of images, as arrays or as files that are opened when they are needed, with the number of a class for each.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from archc.compiler.files import reason

IMAGES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
SPLITS = ("train", "test")
HELD_OUT = 5  # of digits, every fifth sample is for the test
WRONG = 0.1  # of the labels may be larger than those of a network, and still it is the labels that are wrong
MOST_PIXELS = 2**28  # of an image: more is refused before it is decoded


class BadData(ValueError):
    """A data set cannot be used; the message has the file, what is wrong and what to do."""


class BadSample(BadData):
    """One sample cannot be used; the others can."""


@dataclass(frozen=True)
class Samples:
    """A part of a data set: for each sample an image and the number of its class.

    `files` are those of samples in arrays, each with the number of its samples. Where the data has not `stated` its classes, they are those
    up to the largest number.
    """

    images: Sequence[Path] | np.ndarray[Any, Any]  # files, or (samples, height, width[, 3]) of uint8
    labels: Sequence[int]
    classes: tuple[str, ...]
    place: str
    files: tuple[tuple[str, int], ...] = ()
    stated: bool = True

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, number: int) -> str:
        """Return where a sample comes from: its file, or its number in the data set."""
        if isinstance(self.images, Sequence):
            return str(self.images[number])
        for file, count in self.files:
            if number < count:
                return f"{file}: sample {number}"
            number -= count
        return f"{self.place}: sample {number}"

    def label(self, number: int) -> int:
        """Return the class of a sample. Raises BadSample where there is none of its number."""
        label = self.labels[number]
        if not 0 <= label < len(self.classes):
            raise BadSample(f"{self.name(number)}: its class is {label}, and there are {len(self.classes)}, from 0 on")
        return label

    def image(self, number: int) -> Image.Image:
        """Return the image of a sample. Raises BadSample where its file is none."""
        if not isinstance(self.images, Sequence):
            return Image.fromarray(self.images[number])
        return opened(self.images[number])


def opened(path: Path) -> Image.Image:
    """Return the image in a file, decoded. Raises BadSample."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BadSample(f"{path}: the image has {image.width}x{image.height} pixels, which is more than is read")
            image.load()
            return image
    except BadSample:
        raise
    except Exception as error:  # Pillow's decoders raise what they like
        raise BadSample(f"{path}: this is no image that can be read ({_plain(error)})") from None


def images_in(folder: Path) -> list[Path]:
    """Return the images in a folder and those below it, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGES and path.is_file())


def _plain(error: Exception) -> str:
    text = reason(error)
    return "its format is not known, or it is damaged" if "cannot identify" in text else text


@dataclass(frozen=True)
class Format:
    """A row of the table: how a data set lies on the disk, whether a folder is one, and what reads a split of it."""

    name: str
    holds: str
    found: Callable[[Path], bool]
    read: Callable[[Path, str], Samples]


def load(data: str, split: str) -> Samples:
    """Return a split, `train` or `test`, of a data set: a folder, or `digits`, which scikit-learn brings. Raises BadData."""
    if data == "digits":
        return _digits(split)
    folder = Path(data)
    if not folder.is_dir():
        raise BadData(f"{data}: there is no such folder; --data takes a folder, or digits, which scikit-learn brings")
    form = next((form for form in FORMATS if form.found(folder)), None)
    if form is None:
        raise BadData(f"{data}: there is no data set here: {'; '.join(form.holds for form in FORMATS)}")
    samples = form.read(folder, split)
    if not len(samples):
        raise BadData(f"{samples.place}: there are no samples here")
    return samples


def numbered(samples: Samples, classes: int) -> Samples:
    """Return samples whose classes are only numbered as those of a network with so many.

    What has a larger number is a wrong sample, unless there are too many: then the data is for another network, and returned as it is.
    """
    wrong = sum(label >= classes for label in samples.labels)
    if samples.stated or wrong > WRONG * len(samples):
        return samples
    return replace(samples, classes=tuple(map(str, range(classes))))


def _digits(split: str) -> Samples:
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    chosen = (np.arange(len(found.target)) % HELD_OUT == 0) == (split == "test")
    images = np.round(found.images[chosen] * (255 / 16)).astype(np.uint8)
    return Samples(images, found.target[chosen].tolist(), tuple("0123456789"), f"digits/{split}")


# ---- idx, the files of MNIST

_IDX = {"train": "train", "test": "t10k"}


def _idx_file(folder: Path, split: str, kind: str) -> Path | None:
    names = [f"{_IDX[split]}-{kind}{dot}idx{axes}-ubyte{end}" for axes in (1, 3) for dot in "-." for end in ("", ".gz")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _is_idx(folder: Path) -> bool:
    return any(_idx_file(folder, split, "images") for split in SPLITS)


def _read_idx(folder: Path, split: str) -> Samples:
    files = [_idx_file(folder, split, kind) for kind in ("images", "labels")]
    if None in files:
        raise BadData(f"{folder}: the files {_IDX[split]}-images-idx3-ubyte and {_IDX[split]}-labels-idx1-ubyte are not both here")
    images, labels = (_idx(file) for file in files if file is not None)
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise BadData(f"{folder}: {files[0]} holds {images.shape} and {files[1]} {labels.shape}, which do not belong together")
    classes = tuple(map(str, range(int(labels.max(initial=0)) + 1)))
    return Samples(images, labels.tolist(), classes, str(folder), ((str(files[1]), len(labels)),), stated=False)


def _idx(path: Path) -> np.ndarray[Any, Any]:
    """Return the array of an idx file: two zeros, the type (8: bytes), the number of axes, their sizes, the values."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zero, kind, axes = struct.unpack_from(">HBB", data)
        sizes = struct.unpack_from(f">{axes}I", data, 4)
        values = np.frombuffer(data, np.uint8, offset=4 + 4 * axes)
        if zero or kind != 8 or len(values) != np.prod(sizes, dtype=object):
            raise ValueError("its head does not fit its length")
        return values.reshape(sizes)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise BadData(f"{path}: this is no whole idx file of bytes ({reason(error)})") from None


# ---- CIFAR's binary files: a byte for the class (two for CIFAR-100), and 3x32x32 bytes

_CIFAR = {"train": [f"data_batch_{number}.bin" for number in range(1, 6)], "test": ["test_batch.bin"]}
_CIFAR100 = {"train": ["train.bin"], "test": ["test.bin"]}
_CIFAR_NAMES = (("batches.meta.txt", 10), ("fine_label_names.txt", 100))
_PIXELS = 3 * 32 * 32


def _is_cifar(folder: Path) -> bool:
    return any((folder / name).is_file() for table in (_CIFAR, _CIFAR100) for names in table.values() for name in names)


def _read_cifar(folder: Path, split: str) -> Samples:
    ten = any((folder / name).is_file() for names in _CIFAR.values() for name in names)
    files, head, count = ((_CIFAR if ten else _CIFAR100)[split], 1 if ten else 2, 10 if ten else 100)
    images, labels, read = [], [], []
    for name in files:
        path = folder / name
        try:
            rows = np.frombuffer(path.read_bytes(), np.uint8)
        except OSError as error:
            raise BadData(f"{path}: {reason(error)}") from None
        if not len(rows) or len(rows) % (head + _PIXELS):
            raise BadData(f"{path}: this is no whole file of CIFAR's: its length is no multiple of {head + _PIXELS} bytes")
        rows = rows.reshape(-1, head + _PIXELS)
        labels.extend(rows[:, head - 1].tolist())
        images.append(rows[:, head:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        read.append((str(path), len(rows)))
    return Samples(np.concatenate(images), labels, _cifar_classes(folder, count), str(folder), tuple(read))


def _cifar_classes(folder: Path, count: int) -> tuple[str, ...]:
    file = folder / next(name for name, classes in _CIFAR_NAMES if classes == count)
    names = file.read_text(encoding="utf-8").split() if file.is_file() else []
    return tuple(names) if len(names) == count else tuple(map(str, range(count)))


# ---- a folder for each class


def _is_folder(folder: Path) -> bool:
    return any((folder / split).is_dir() for split in (*SPLITS, "val")) or any(each.is_dir() for each in folder.iterdir())


def _read_folder(folder: Path, split: str) -> Samples:
    place = folder / split
    if not place.is_dir() and split == "test" and (folder / "val").is_dir():
        place = folder / "val"
    if not place.is_dir():
        raise BadData(f"{folder}: there is no folder {split}; it holds a folder for each class, and in these are the images")
    classes = _classes(place)
    known = _classes(folder / "train") if (folder / "train").is_dir() else classes
    if strange := sorted(set(classes) - set(known)):
        raise BadData(f"{place}: the folder {strange[0]} is no class of {folder / 'train'}")
    images, labels = [], []
    for name in classes:
        found = images_in(place / name)
        if not found:
            raise BadData(f"{place / name}: there are no images in the folder of this class; put some in, or remove it")
        images.extend(found)
        labels.extend([known.index(name)] * len(found))
    return Samples(images, labels, tuple(known), str(place))


def _classes(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


FORMATS = (
    Format("idx", "idx files as MNIST has them, train-images-idx3-ubyte and the others", _is_idx, _read_idx),
    Format("cifar", "CIFAR's binary files, data_batch_1.bin and the others", _is_cifar, _read_cifar),
    Format("folder", "the folders train and test (or val), in them a folder for each class, in these the images", _is_folder, _read_folder),
)
