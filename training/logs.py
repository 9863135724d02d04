"""What a run reports while it goes on: JSON lines, a CSV row for each epoch, TensorBoard, and what a terminal shows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from archc.compiler.errors import NotInstalled
from archc.compiler.files import CannotWrite, reason, write_text

Row = Mapping[str, Any]  # `step` and `epoch`, and numbers by name
LINES, TABLE, BOARD = "log.jsonl", "epochs.csv", "tensorboard"
COLUMNS = ("epoch", "step", "loss", "rate", "images_per_second", "test_loss", "top1", "top5", "seconds")


class Listener(Protocol):
    """Who is told of a run as it goes on: `step` after every step, `epoch` after every epoch, `note` of anything else."""

    def step(self, row: Row, steps: int) -> None: ...
    def epoch(self, row: Row) -> None: ...
    def note(self, text: str) -> None: ...


class Logs:
    """The logs in the folder of a run.

    A run that is resumed goes on in them: rows that were written after the state from which it is resumed are removed first.
    """

    def __init__(self, folder: Path, step: int, board: bool) -> None:
        """Open the logs at a step. Raises NotInstalled where TensorBoard's are asked for and cannot be written."""
        self.folder = folder
        kept = [row for row in rows(folder) if row["step"] <= step] if step else []
        write_text(folder / LINES, "".join(f"{json.dumps(row)}\n" for row in kept))
        self.epochs: list[Row] = [row for row in kept if "top1" in row]
        self.writer = _board(folder / BOARD, step) if board else None

    def step(self, row: Row) -> None:
        """Log a step."""
        try:
            with open(self.folder / LINES, "a", encoding="utf-8") as file:
                file.write(f"{json.dumps(row)}\n")
        except OSError as error:
            raise CannotWrite(self.folder / LINES, reason(error)) from error
        if self.writer is not None:
            for name in sorted(set(row) - {"step", "epoch"}):
                self.writer.add_scalar(name, row[name], row["step"])

    def epoch(self, row: Row) -> None:
        """Log an epoch: also as a row of the table."""
        self.step(row)
        self.epochs.append(row)
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows({name: row.get(name, "") for name in COLUMNS} for row in self.epochs)
        write_text(self.folder / TABLE, text.getvalue())

    def close(self) -> None:
        """Close what is open."""
        if self.writer is not None:
            self.writer.close()


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a run's log; a last line that was not written to its end is left out."""
    path = folder / LINES
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError:
        raise NotInstalled("tensorboard", "train", wants="--tensorboard") from None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
