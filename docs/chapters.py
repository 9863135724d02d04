"""The chapters of docs/learn/: their programs, the commands that they show, and the numbers that their sentences quote.

A chapter is Markdown. Its ```arch blocks are whole files; one that begins with `arch stem "..."` is the file `stem.arch` for commands in
```console blocks, as `$ archc check stem.arch`. `make docs` writes what these print, and `make docs-check` compares it. In a sentence, an
equation is evaluated, and any other large number must be in a block of the chapter, or the result of one of its equations.
"""

from __future__ import annotations

import ast
import math
import os
import re
import shlex
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

from typer.testing import CliRunner

from archc.ui.verbs.app import app

ROOT = Path(__file__).resolve().parents[1]
LEARN = ROOT / "docs/learn"

BLOCK = re.compile(r"^```([\w-]*)\n(.*?)^```\n?", re.M | re.S)
NAME = re.compile(r"^arch (\w+)", re.M)
# 1,516 or 1516. Korean counters follow without a space; those of ten thousands are words for round numbers.
NUMBER = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![A-Za-z0-9_만억])|(?<![\w.,:/-])\d{4,}(?:\.\d+)?(?![A-Za-z0-9_만억-])")
EQUATION = re.compile(r"`([^`\n]*[^`=<>!\n])=([^`=>\n][^`\n]*)`")
FUNCTIONS: dict[str, Callable[..., float]] = {"floor": math.floor, "ceil": math.ceil, "sqrt": math.sqrt}


def chapters(folder: Path = LEARN) -> list[Path]:
    """Return the chapters in a folder, in order."""
    return sorted(path for path in folder.glob("*.md") if path.name != "index.md")


def guides() -> list[Path]:
    """Return the guides that show what commands print."""
    return [path for path in sorted((ROOT / "docs/guides").glob("*.md")) if "```console" in path.read_text(encoding="utf-8")]


def blocks(text: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of a page, each with its language."""
    return [(match[1], match[2]) for match in BLOCK.finditer(text)]


def programs(text: str) -> dict[str, str]:
    """Return the programs of a page that have a name, right ones and wrong ones, by the names of their files."""
    found: dict[str, str] = {}
    for language, code in blocks(text):
        name = NAME.search(code) if language in ("arch", "arch-error") else None
        if name is not None:
            assert f"{name[1]}.arch" not in found, f"two programs are called {name[1]}"
            found[f"{name[1]}.arch"] = code
    return found


def answered(text: str) -> str:
    """Return a page with what its commands print now. Raises AssertionError for a command that is not one of archc, or has a bug."""
    with tempfile.TemporaryDirectory() as folder:
        for name, code in programs(text).items():
            (Path(folder) / name).write_text(code, encoding="utf-8")
        (Path(folder) / "archs").symlink_to(ROOT / "archs")
        with chdir(folder):
            return BLOCK.sub(lambda match: f"```console\n{_session(match[2])}```\n" if match[1] == "console" else match[0], text)


def with_blocks(text: str, original: str) -> str:
    """Return a translation with the blocks of the original. Raises AssertionError where their number is not the same."""
    fences = [match[0] for match in BLOCK.finditer(original)]
    assert len(fences) == len(BLOCK.findall(text)), "a translation has all blocks of its original"
    rest = iter(fences)
    return BLOCK.sub(lambda _: next(rest), text)


def _session(code: str) -> str:
    return "".join(f"{line}\n{_printed(line.removeprefix('$ '))}" for line in code.splitlines() if line.startswith("$ "))


def _printed(command: str) -> str:
    """Run a command line of archc, with `| grep -E WORDS` or `| head -N` after it; return what a terminal shows."""
    line, *filters = command.split(" | ")
    program, *args = shlex.split(line)
    assert program == "archc", command
    before, os.environ["COLUMNS"] = os.environ.get("COLUMNS"), "100"
    try:
        result = CliRunner().invoke(app, args)
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    assert result.exception is None or isinstance(result.exception, SystemExit), f"{command}: {result.exception!r}"
    shown = (result.stdout if filters else result.output).splitlines()
    for each in filters:
        match shlex.split(each):
            case ["grep", "-E", word]:
                shown = [row for row in shown if re.search(word, row)]
            case ["head", count]:
                shown = shown[: int(count.removeprefix("-"))]
            case _:
                raise AssertionError(f"{command}: only grep and head are known here")
    assert shown, f"{command} prints nothing"
    return "".join(f"{row.rstrip()}\n" for row in shown)


# ---- the numbers of sentences


def prose(text: str) -> str:
    """Return a page without its blocks."""
    return BLOCK.sub("", text)


def equations(text: str) -> Iterator[tuple[str, list[float]]]:
    """Yield the equations of the sentences, `7*7*3 = 147`, with the values of their sides."""
    for match in EQUATION.finditer(prose(text)):
        sides = match[0].strip("`").split(" = ")
        words = set(re.findall(r"[^\W\d]\w*", match[0]))
        if len(sides) > 1 and words <= {*FUNCTIONS}:  # else it is a formula
            yield match[0], [value(side) for side in sides]


def value(text: str) -> float:
    """Return the value of an expression of numbers, with `floor`, `ceil` and `sqrt`. Raises AssertionError for anything else."""
    return _value(ast.parse(re.sub(r"(?<=\d),(?=\d{3})", "", text).strip(), mode="eval").body)


def _value(tree: ast.expr) -> float:
    match tree:
        case ast.Constant(int() | float() as number):
            return number
        case ast.UnaryOp(ast.USub(), operand):
            return -_value(operand)
        case ast.BinOp(left, operator, right):
            a, b = _value(left), _value(right)
            match operator:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.Div():
                    return a / b
                case ast.Pow():
                    return a**b
        case ast.Call(ast.Name(name), [argument]) if name in FUNCTIONS:
            return FUNCTIONS[name](_value(argument))
    raise AssertionError(f"not arithmetic: {ast.unparse(tree)}")


def unproved(text: str) -> list[str]:
    """Return what the sentences state and nothing shows: equations that do not hold, and large numbers that no block or equation has."""
    found = []
    known = {plain(number) for _, code in blocks(text) for number in re.findall(r"\d[\d,_]*(?:\.\d+)?", code)}
    for words, sides in equations(text):
        if not all(math.isclose(side, sides[-1], rel_tol=0, abs_tol=0.005) for side in sides):
            found.append(words)
        known |= {plain(number) for number in NUMBER.findall(words)}
    years = {str(year) for year in range(1980, 2030)}
    text = re.sub(r"\]\([^)]*\)|arXiv:[\d.]+", "", prose(text))
    found += [number for number in NUMBER.findall(text) if plain(number) not in known | years]
    return found


def plain(number: str) -> str:
    """Return a number without the marks between its digits."""
    return number.replace(",", "").replace("_", "")
