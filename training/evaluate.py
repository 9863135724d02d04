"""How good a trained network is on labelled samples, and what it says of images without labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archc.compiler.backends.torch.published import torchvision_models
from archc.compiler.tables import html_table, text_table
from archc.training.data import BadData, BadSample, Samples, images_in, numbered, opened
from archc.training.loss import rows
from archc.training.prepare import Preparation, Prepared, evaluating, in_turn, loaded
from archc.training.stored import Stored

BINS = 15  # of the calibration error (Guo et al. 2017)
CONFUSED = 10  # pairs of classes that are shown
BATCH = 64


@dataclass(frozen=True)
class Evaluation:
    """Rates of a network on a data set.

    `confusion` has a row for each right class and a column for each predicted one; `calibration` is the expected calibration error of
    the likeliest class, over 15 bins of equal width; `skipped` samples could not be read.
    """

    name: str
    place: str
    classes: tuple[str, ...]
    top1: float
    top5: float
    calibration: float
    confusion: tuple[tuple[int, ...], ...]
    skipped: int = 0

    @property
    def samples(self) -> int:
        """The number of samples."""
        return sum(map(sum, self.confusion))

    def per_class(self) -> list[tuple[str, int, float, float]]:
        """Return name, number of samples, recall and precision of every class; those of a class that is empty are not a number."""
        rows = []
        for number, name in enumerate(self.classes):
            right, there = self.confusion[number][number], sum(self.confusion[number])
            said = sum(row[number] for row in self.confusion)
            rows.append((name, there, right / there if there else float("nan"), right / said if said else float("nan")))
        return rows

    def confused(self) -> list[tuple[str, str, int]]:
        """Return right class, predicted class and count of what is confused, the most frequent first."""
        pairs = [
            (self.classes[a], self.classes[b], count)
            for a, row in enumerate(self.confusion)
            for b, count in enumerate(row)
            if a != b and count
        ]
        return sorted(pairs, key=lambda pair: -pair[2])

    def facts(self) -> dict[str, Any]:
        """Return it as plain data."""
        per_class = [
            {"class": name, "samples": there, "recall": _number(recall), "precision": _number(precision)}
            for name, there, recall, precision in self.per_class()
        ]
        return {**vars(self), "samples": self.samples, "per_class": per_class}

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    def text(self) -> str:
        """Return the rates, a row for each class, and what is confused most often."""
        shown = "\n".join(f"  {a} taken for {b}: {count}" for a, b, count in self.confused()[:CONFUSED])
        return f"{self._note()}\n{text_table(HEADS, self._rows())}" + (f"most often confused:\n{shown}\n" if shown else "")

    def _repr_html_(self) -> str:
        return html_table(HEADS, self._rows(), notes=[self._note()])

    def _note(self) -> str:
        five = f", top-5 {100 * self.top5:.2f} %" if len(self.classes) > 5 else ""
        note = f"{self.name} on {self.place}: {self.samples:,} samples, top-1 {100 * self.top1:.2f} %{five}, "
        return f"{note}calibration error {100 * self.calibration:.2f} %" + (f"; {self.skipped} left out" if self.skipped else "")

    def _rows(self) -> list[list[str]]:
        return [[name, str(there), f"{100 * recall:.2f}", f"{100 * precision:.2f}"] for name, there, recall, precision in self.per_class()]


def _number(rate: float) -> float | None:
    """Return a rate as JSON has it, which knows no NaN."""
    return None if isnan(rate) else rate


HEADS = ("class", ">samples", ">recall %", ">precision %")


@torch.no_grad()
def evaluation(module: nn.Module, stored: Stored, samples: Samples, strict: bool = True, workers: int = 0) -> Evaluation:
    """Return how a network does on samples, prepared as it was trained. Raises BadData where the classes differ."""
    samples = numbered(samples, len(stored.classes)) if stored.classes else samples
    if stored.classes and tuple(stored.classes) != samples.classes:
        strange = sorted(set(samples.classes) - set(stored.classes))
        if strange:
            raise BadData(f"{samples.place}: {stored.name} was trained on {len(stored.classes)} classes, and {strange[0]} is none of them")
    classes = stored.classes or samples.classes
    number = [classes.index(name) for name in samples.classes]  # a test may lack classes
    torchvision_models()  # before torchmetrics imports it
    from torchmetrics.functional import classification as metrics

    scores, labels, skipped = _scored(module, stored, samples, strict, workers)
    if not len(labels):
        raise BadData(f"{samples.place}: none of the samples can be read")
    if scores.shape[1] != len(classes):
        raise BadData(f"{samples.place}: there are {len(classes)} classes, and {stored.name} tells {scores.shape[1]}")
    target = torch.tensor(number)[labels]
    count = len(classes)
    confusion = metrics.multiclass_confusion_matrix(scores, target, count)
    return Evaluation(
        stored.name,
        samples.place,
        classes,
        float(metrics.multiclass_accuracy(scores, target, count, average="micro")),
        float(metrics.multiclass_accuracy(scores, target, count, average="micro", top_k=min(5, count))),
        float(metrics.multiclass_calibration_error(scores.softmax(1), target, count, n_bins=BINS)),
        tuple(map(tuple, confusion.tolist())),
        skipped,
    )


def _scored(module: nn.Module, stored: Stored, samples: Samples, strict: bool, workers: int) -> tuple[Tensor, Tensor, int]:
    """Return scores and classes of all samples that can be read, and the number of the others."""
    prepared = Prepared(samples, evaluating(Preparation.of_facts(stored.preparation)), strict=strict)
    device = next(module.parameters()).device
    module.eval()
    scores, labels, skipped = [], [], 0
    for images, target, numbers, bad in loaded(prepared, in_turn(range(len(samples)), BATCH), workers):
        skipped += len(bad)
        if numbers:
            scores.append(stored.scores * _only(module(images.to(device))).float().cpu())
            labels.append(target)
    return (torch.cat(scores), torch.cat(labels), skipped) if scores else (torch.empty(0, 1), torch.empty(0, dtype=torch.long), skipped)


def _only(output: Any) -> Tensor:
    """Return the output of a network in evaluation as `(N, classes)`."""
    return rows(output if isinstance(output, Tensor) else next(iter(output.values())))


@dataclass(frozen=True)
class Predicted:
    """What a network says of one image: classes and their probabilities, the likeliest first. `problem` is why it says nothing."""

    file: str
    classes: tuple[tuple[str, float], ...] = ()
    problem: str = ""

    def facts(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"file": self.file, "problem": self.problem} if self.problem else {"file": self.file, "classes": list(self.classes)}


def images_of(paths: Sequence[Path]) -> list[Path]:
    """Return the images among files and in folders. Raises BadData where there is none."""
    found = [file for path in paths for file in (images_in(path) if path.is_dir() else [path])]
    if not found:
        raise BadData(f"{', '.join(map(str, paths))}: there are no images here")
    return found


@torch.no_grad()
def predicted(module: nn.Module, stored: Stored, files: Sequence[Path], most: int) -> Iterator[Predicted]:
    """Yield what a network says of each image."""
    prepare = evaluating(Preparation.of_facts(stored.preparation))
    device = next(module.parameters()).device
    module.eval()
    for file in files:
        try:
            image = prepare(opened(file))
        except BadSample as error:
            yield Predicted(str(file), problem=str(error))
            continue
        shares = (stored.scores * _only(module(image[None].to(device))).float()).softmax(1)[0].cpu()
        best = shares.topk(min(most, len(shares)))
        names = stored.classes or tuple(map(str, range(len(shares))))
        yield Predicted(
            str(file), tuple((names[index], share) for share, index in zip(best.values.tolist(), best.indices.tolist(), strict=True))
        )
