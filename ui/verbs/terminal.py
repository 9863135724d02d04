"""Functions shared by the verbs: reading arguments, loading files, printing, prompting, writing, exit codes."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol

import typer

from archc.compiler.backends.errors import NoDevice, NoMemory, Unreadable
from archc.compiler.configuration import NARROWEST, configuration
from archc.compiler.driver import parse_overrides, require_network
from archc.compiler.elaborate.elaboration import Limits, Overrides
from archc.compiler.errors import one_of
from archc.compiler.files import unwritable, write_text
from archc.compiler.network import Network
from archc.compiler.report import Report
from archc.compiler.stages import stages
from archc.dsl.diagnostics import CLAIM, Diagnostic, Repair
from archc.dsl.errors import ArchError
from archc.dsl.rendering import edited, render_all, visible
from archc.dsl.source import Source
from archc.ui.show import fixing
from archc.ui.show.colour import painter
from archc.ui.verbs import sources
from archc.ui.verbs.options import FORMS
from archc.ui.verbs.sources import STDIN, checked


class Tabulated(Protocol):
    """A result that can be written as a table in several formats."""

    def text(self, width: int | None = None) -> str: ...
    def csv(self) -> str: ...
    def markdown(self) -> str: ...
    def latex(self) -> str: ...
    def _repr_html_(self) -> str: ...


def sweeps(settings: list[str]) -> list[list[str]]:
    """Return every combination of settings, where parameters are set to several values."""
    by_name: dict[str, list[str]] = {}
    for setting in settings:
        by_name.setdefault(setting.partition("=")[0], []).append(setting)
    return [list(combination) for combination in itertools.product(*by_name.values())]


def chosen_format(format_: str, json_: bool, csv: bool, md: bool, latex: bool) -> str:
    """Choose the format of a table: the one of a flag, else that of `--format`. Raises UsageError."""
    form = next((name for name, wanted in (("json", json_), ("csv", csv), ("md", md), ("latex", latex)) if wanted), format_)
    one_of("format", form, FORMS)
    return form


def print_table(result: Tabulated, form: str) -> None:
    """Print a result as a table: text as wide as the terminal, csv, md, latex or html."""
    texts = {"text": lambda: result.text(width()), "csv": result.csv, "md": result.markdown, "latex": result.latex}
    texts["html"] = lambda: f"{result._repr_html_()}\n"
    sys.stdout.write(texts[form]())


def arch_files(files: list[Path]) -> list[Path]:
    """Return the files, and the `.arch` files in the folders among them. Ends where there is none, or stdin more than once."""
    stdin_once(files)
    found = sources.arch_files(files)
    if not found:
        fail(f"there is no `.arch` file in {', '.join(map(str, files))}")
    return found


def or_configured(files: list[Path] | None) -> list[Path]:
    """Return the files that are given, or else those that the configuration of the current folder names. Ends where there are none."""
    found = files or list(configuration(Path()).paths)
    if not found:
        usage("give a file or folder, or name some by `paths` in [tool.archc] of pyproject.toml")
    return found


def stdin_once(files: list[Path]) -> None:
    """End with an exit code where several arguments are stdin."""
    if sum(file is STDIN for file in files) > 1:
        usage("stdin can be read once: give `-` once")


def overrides(settings: list[str] | None, inputs: list[str] | None) -> Overrides:
    """Parse the values of `--set` and `--input`. Ends with exit code 2 where they cannot be parsed."""
    pairs: dict[str, str] = {}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals or not name.isidentifier():
            usage(f"--set takes NAME=VALUE, as in --set depths=[3,4,23,3]; this is {setting}")
        pairs[name] = value
    shapes: dict[str, str] = {}
    for given in inputs or []:
        name, equals, shape = given.rpartition("=")
        shapes[name] = shape
    try:
        return parse_overrides(pairs, shapes)
    except ArchError as error:
        talk(render_all(error.diagnostics, paint=painter(sys.stderr)))
        raise typer.Exit(2) from None


def sound(file: Path, changed: Overrides, limits: Limits, as_json: bool, wrong: int = 1, blocks: bool = False) -> Report:
    """Return the report on a file without errors that holds a network (or, with `blocks`, blocks); else print the errors and exit."""
    report = checked(file, changed, limits)
    try:
        return report if blocks and report.ok else require_network(report)
    except ArchError as error:
        if as_json:
            print_json(report.facts() | {"ok": False, "diagnostics": [found.to_json() for found in error.diagnostics]})
        else:
            talk(render_all(error.diagnostics, paint=painter(sys.stderr)))
        raise typer.Exit(wrong) from None


def network(file: Path, changed: Overrides, limits: Limits, as_json: bool, wrong: int = 1) -> Network:
    """Load the network of a file; else print its errors and exit."""
    return Network(sound(file, changed, limits, as_json, wrong=wrong))


@contextmanager
def refusals() -> Iterator[None]:
    """Turn errors of a backend into a plain message and an exit code."""
    try:
        yield
    except NoDevice as error:
        usage(str(error))
    except (Unreadable, NoMemory) as error:
        fail(str(error))


def print_stages(report: Report, level: int, after: str) -> None:
    """Print what the compiler has after a stage, or after every stage."""
    for name, text in stages(report, level, after):
        say(f"# after {name}")
        sys.stdout.write(text)


def unfit_table(rows: list[tuple[str, str, str, str]], most: int = 10) -> str:
    """Return the keys of a weights file that do not fit a network, as a table."""
    width = max(len(key) for _, key, _, _ in rows[:most])
    lines = [f"{'':<11}{'key':<{width}}  {'in the file':<16}in the network"]
    lines.extend(f"{what:<11}{key:<{width}}  {theirs:<16}{ours}".rstrip() for what, key, theirs, ours in rows[:most])
    if len(rows) > most:
        lines.append(f"... and {len(rows) - most} more")
    return "\n".join(lines)


def width() -> int | None:
    """Return the columns of the terminal; where stdout is none, those of the configuration, or None: lines may have any length."""
    return max(NARROWEST, shutil.get_terminal_size().columns) if sys.stdout.isatty() else configuration(Path()).width


def must_be_writable(path: Path) -> None:
    """End with an exit code where a file cannot be written, before any work is done."""
    if problem := unwritable(path):
        usage(problem)


def write(path: Path, text: str) -> None:
    """Write a file, completely or not at all. Raises CannotWrite."""
    write_text(path, text)


def say(text: str) -> None:
    """Print a line to stdout."""
    sys.stdout.write(text + "\n")


def talk(text: str) -> None:
    """Print a line to stderr."""
    sys.stderr.write(text + "\n")


def print_json(data: Any) -> None:
    """Print plain data to stdout as JSON."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


def usage(message: str) -> NoReturn:
    """Report wrong usage, and end with exit code 2."""
    talk(f"archc: {visible(message)}")
    raise typer.Exit(2)


def fail(message: str) -> NoReturn:
    """Report an error, and end with exit code 1."""
    talk(f"archc: {visible(message)}")
    raise typer.Exit(1)


def interactive() -> bool:
    """Return whether a user can be prompted."""
    return sys.stdin is not None and sys.stdin.isatty()


def repair(reports: list[tuple[Path, Report]], choose: int, every: bool, yes: bool) -> None:
    """Apply one repair of a file, or (`every`) all that are safe, after showing the difference."""
    if len(reports) != 1:
        usage("--fix repairs one file at a time")
    path, report = reports[0]
    found = [*report.diagnostics, *report.warnings]
    repairs = fixing.offered(found)
    if not repairs and not report.ok:
        fail("no known repair makes this file check")
    if not repairs:
        talk(f"there is nothing to repair in {path}")
        if path is STDIN:
            sys.stdout.write(sources.loaded(path).source.text)
        return
    left: list[tuple[Diagnostic, Repair]] = []
    if every:
        text, rest = fixing.fixed(report, path)
        left = fixing.offered([*rest.diagnostics, *rest.warnings])
    else:
        chosen = _chosen(repairs, choose)
        text = edited(chosen.edits[0].span.source, chosen.edits)
        talk(f"{path}: {chosen}")
    if text:
        _written(path, repairs[0][1].edits[0].span.source, text, yes)
    if left:
        talk("not applied, since these change what is computed or claimed; apply one with `--fix --choose N`:")
        talk("\n".join(fixing.listed(left)))
    if not text or (path is not STDIN and not checked(path).ok):
        raise typer.Exit(1)


def _chosen(repairs: list[tuple[Diagnostic, Repair]], number: int) -> Repair:
    """Return the repair of a number, or the only one. A repair that changes a claim always needs its number."""
    if not number and (len(repairs) > 1 or repairs[0][1].changes == CLAIM):
        talk("\n".join(fixing.listed(repairs)))
        if not interactive():
            several = f"there are {len(repairs)} repairs" if len(repairs) > 1 else "the only repair known changes a claim"
            usage(f"{several}: choose one with `--choose N`; `--all` applies those that change only how the file is written")
        number = typer.prompt("Which", type=int, err=True)
    if not 1 <= (number or 1) <= len(repairs):
        usage(f"there are {len(repairs)} repairs, and no number {number}")
    return repairs[(number or 1) - 1][1]


def _written(path: Path, source: Source, text: str, yes: bool) -> None:
    """Show the difference, prompt, and write the file; for stdin, print the text to stdout."""
    if path is STDIN:
        sys.stdout.write(text)
        return
    sys.stdout.write(fixing.difference(source, text))
    if not yes and not interactive():
        usage("give `--yes` to apply it")
    if not yes and not typer.confirm("Write this", err=True):
        raise typer.Exit(1)
    fixing.write_fixed(text, path)
    talk(f"repaired {path}")
