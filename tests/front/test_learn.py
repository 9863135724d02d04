"""The course: every output is what its command prints, and every number of a sentence is proved by its page.

That its programs check is tested with those of the other documents, in test_language.
"""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from archc.tests.support import ROOT

LEARN = ROOT / "docs/learn"
CHAPTERS = sorted(LEARN.glob("[0-9]*.md"))


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """Return docs/chapters.py, which no package contains."""
    spec = spec_from_file_location("archc_chapters", ROOT / "docs/chapters.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_there_are_twelve_chapters_in_two_languages() -> None:
    assert [int(path.name[:2]) for path in CHAPTERS] == list(range(1, 13))
    assert [path.name for path in CHAPTERS] == [path.name for path in sorted((LEARN / "ko").glob("[0-9]*.md"))]
    for folder in (LEARN, LEARN / "ko"):
        assert re.findall(r"^\d+\. \[.*\]\((.*)\)", (folder / "index.md").read_text(encoding="utf-8"), re.M) == [
            path.name for path in CHAPTERS
        ]


def test_chapters_have_what_a_chapter_has(tool: ModuleType) -> None:
    for path in CHAPTERS:
        text = path.read_text(encoding="utf-8")
        assert 60 <= len(text.splitlines()) <= 150, path.name
        assert text.count("**Predict:**") >= 3, path.name
        assert "\n## Change it\n" in text, path.name
        korean = (LEARN / "ko" / path.name).read_text(encoding="utf-8")
        assert korean.count("**예측:**") == text.count("**Predict:**"), path.name
        assert tool.blocks(korean) == tool.blocks(text), path.name
        assert len(re.findall(r"^## ", korean, re.M)) == len(re.findall(r"^## ", text, re.M)), path.name


@pytest.mark.parametrize("name", ["02-alexnet.md", pytest.param("*", marks=pytest.mark.slow)])
def test_outputs_are_what_the_commands_print(name: str, tool: ModuleType) -> None:
    found = [*CHAPTERS, *tool.guides()] if name == "*" else [LEARN / name]
    assert name != "*" or len(found) >= 15
    for path in found:
        text = path.read_text(encoding="utf-8")
        assert "```console\n$ archc " in text
        assert tool.answered(text) == text, f"{path.name}: run `make docs`"


def test_the_numbers_of_sentences_are_proved(tool: ModuleType) -> None:
    for path in (*CHAPTERS, *(LEARN / "ko").glob("[0-9]*.md")):
        text = path.read_text(encoding="utf-8")
        assert not tool.unproved(text), path
        assert list(tool.equations(text)), path


def test_numbers_without_a_proof_are_found(tool: ModuleType) -> None:
    text = "# A\n\n1,234 and `2*3 = 7`, `7/2 = 3.5`, `floor(9/4) = 2`, `n*n = 5`, and 5,678개, 1,000 in 2012.\n\n```text\n1_000\n```\n"
    assert tool.unproved(text) == ["`2*3 = 7`", "1,234", "5,678"]
    with pytest.raises(AssertionError, match="not arithmetic"):
        tool.value("__import__('os').getcwd()")


def test_a_changed_output_is_found(tool: ModuleType, tmp_path: Path) -> None:
    program = '```arch\narch tiny "a test"\ninput 3x8x8\nconv3-4\n```\n\n'
    text = program + '```console\n$ archc check tiny.arch | grep -E "MACs"\n  MACs        1\n```\n'
    assert tool.answered(text) == text.replace("MACs        1\n", "MACs        3,888\n")
    with pytest.raises(AssertionError, match="prints nothing"):
        tool.answered(text.replace('"MACs"', '"absent"'))
