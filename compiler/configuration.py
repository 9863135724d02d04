"""The settings of a project: the section `[tool.archc]` of a pyproject.toml, or an archc.toml, in the nearest folder that has one."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from archc.compiler.files import read_regular, reason
from archc.compiler.report import Report
from archc.dsl.diagnostics import Fault
from archc.dsl.source import Source, Span
from archc.dsl.vocabulary import files as says
from archc.dsl.vocabulary.spelling import did_you_mean

MAX_BYTES = 2**20
KEYS = ("paths", "warnings-off", "width")
NARROWEST = 40  # columns; narrower output is unreadable
_CODE = re.compile(r"W\d{4}")


@dataclass(frozen=True)
class Configuration:
    """The settings that a file of a project states.

    `paths` are the files and folders that are checked and formatted where none are given; `off` are the codes of warnings that are
    not reported; `width` is the number of columns of tables that are not printed to a terminal, None for no limit.
    """

    paths: tuple[Path, ...] = ()
    off: frozenset[str] = frozenset()
    width: int | None = None

    def without_warnings(self, report: Report) -> Report:
        """Return a report without the warnings that are switched off."""
        kept = [warning for warning in report.warnings if warning.code not in self.off]
        return report if len(kept) == len(report.warnings) else replace(report, warnings=kept)


def configuration(path: Path) -> Configuration:
    """Return the settings for a file or folder: those of the nearest folder above it that has some; archc.toml comes first.

    Raises Fault, at the line, for a file that is not TOML, and for a setting that is unknown or of the wrong kind.
    """
    try:
        place = path.resolve()
    except (OSError, RuntimeError):  # the current folder is gone, or a circle of links
        return Configuration()
    return _of_folder(place if place.is_dir() else place.parent)


def reread() -> None:
    """Read the files anew when they are next asked for: they may have changed, in a process that lives long."""
    _of_folder.cache_clear()


@cache
def _of_folder(folder: Path) -> Configuration:
    for name in ("archc.toml", "pyproject.toml"):
        file = folder / name
        if file.is_file() and (found := _read(file, within=name == "pyproject.toml")) is not None:
            return found
    return _of_folder(folder.parent) if folder.parent != folder else Configuration()


def _read(path: Path, within: bool) -> Configuration | None:
    """Read a file; return None for a pyproject.toml without our section."""
    try:
        text = read_regular(path, MAX_BYTES).decode()
    except (OSError, ValueError) as error:
        raise Fault(says.wrong_configuration(f"cannot read {path.name}: {reason(error)}").at(_span(path, "", 0))) from None
    try:
        data: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        if within and "[tool.archc" not in text:
            return None  # another tool will tell
        line = re.search(r"at line (\d+)", str(error))
        where = _span(path, text, int(line[1]) if line else text.count("\n") + 1)
        raise Fault(says.wrong_configuration(f"{path.name} is not TOML: {str(error).partition(' (at')[0]}").at(where)) from None
    if within:
        tool = data.get("tool", {})
        if not isinstance(tool, dict) or "archc" not in tool:
            return None
        data = tool["archc"]
    return _checked(path, text, data)


def _checked(path: Path, text: str, data: Any) -> Configuration:
    def wrong(key: str, problem: str, help: str) -> Fault:
        lines = text.split("\n")
        line = next((number for number, line in enumerate(lines, 1) if re.match(rf'\s*"?{re.escape(key)}"?\s*=', line)), 1)
        return Fault(says.wrong_configuration(problem, help).at(_span(path, text, line)))

    if not isinstance(data, dict):
        raise wrong("archc", "`tool.archc` is a section, with settings below it", f"its settings are {', '.join(KEYS)}")
    for key in data:
        if key not in KEYS:
            raise wrong(key, f"there is no setting `{key}`", did_you_mean(key, KEYS) or f"the settings are {', '.join(KEYS)}")
    paths, off, width = data.get("paths", []), data.get("warnings-off", []), data.get("width")
    if not _texts(paths):
        raise wrong("paths", "`paths` is a list of files and folders", 'as in paths = ["networks"]')
    if not _texts(off) or not all(_CODE.fullmatch(code) for code in off):
        help = 'as in warnings-off = ["W0103"]; errors cannot be switched off'
        raise wrong("warnings-off", "`warnings-off` is a list of codes of warnings", help)
    if width is not None and (isinstance(width, bool) or not isinstance(width, int) or width < NARROWEST):
        raise wrong("width", f"`width` is a number of columns, at least {NARROWEST}", "as in width = 100")
    return Configuration(tuple(path.parent / each for each in paths), frozenset(off), width)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _span(path: Path, text: str, line: int) -> Span:
    begin = sum(len(each) + 1 for each in text.split("\n")[: max(line, 1) - 1])
    end = text.find("\n", begin)
    return Span(Source(path.name, text), begin, len(text) if end < 0 else end)
