"""A run of training on a terminal: a bar with loss, rate, images per second and the time left; a line for each epoch."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

Row = Mapping[str, Any]


class Bar:
    """Shows a run on stderr; where that is no terminal, only the lines of epochs."""

    def __init__(self, shown: Progress) -> None:
        self.shown = shown
        self.task: TaskID | None = None

    def step(self, row: Row, steps: int) -> None:
        """Move the bar on to a step of so many."""
        text = f"loss {row['loss']:.4f}  rate {row['rate']:.2g}  {row['images_per_second']:,.0f} images/s"
        if self.task is None:
            self.task = self.shown.add_task(text, total=steps)
        self.shown.update(self.task, completed=row["step"], total=steps, description=text)

    def epoch(self, row: Row) -> None:
        """Write the line of an epoch."""
        test = f"loss {row['loss']:.4f}   test loss {row['test_loss']:.4f}   top-1 {100 * row['top1']:.2f} %"
        self.note(f"epoch {row['epoch']:g}   {test}   {row['images_per_second']:,.0f} images/s")

    def note(self, text: str) -> None:
        """Write a line."""
        self.shown.console.print(text, markup=False, highlight=False, soft_wrap=True)


class Quiet:
    """Shows nothing."""

    def step(self, row: Row, steps: int) -> None:
        """Show nothing."""

    def epoch(self, row: Row) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""


@contextmanager
def progress(quiet: bool) -> Iterator[Bar | Quiet]:
    """Provide what shows a run."""
    if quiet:
        yield Quiet()
        return
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as shown:
        yield Bar(shown)
