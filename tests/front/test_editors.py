"""What editors are given: words and rules that follow the grammar and the records, and colours in the editors themselves."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pygments.token import Error, Token

from archc.compiler.driver import check_text
from archc.compiler.ops import OPERATORS
from archc.dsl.parser import parse
from archc.dsl.source import Source
from archc.ui.highlighting import table
from archc.ui.highlighting.lexer import TOKENS, ArchLexer

ROOT = Path(__file__).parents[2]
EDITORS = ROOT / "editors"
NETWORKS = sorted((ROOT / "archs").rglob("*.arch"))
VIT = ROOT / "archs" / "std" / "vit.arch"


def test_words_are_those_of_the_grammar() -> None:
    assert set(table.keywords()) == {*table.STRUCTURE, *table.CONTROL, *table.LOGIC}
    assert set(table.operators()) == set(OPERATORS)
    assert {"same", "he_normal", "bilinear", "yes", "none"} <= set(table.values())


def test_files_of_editors_are_up_to_date() -> None:
    run([sys.executable, str(EDITORS / "build.py"), "--check"])


def test_a_word_that_was_added_is_told(tmp_path: Path) -> None:
    shutil.copytree(EDITORS, tmp_path / "editors", ignore=shutil.ignore_patterns("node_modules"))
    grammar = tmp_path / "editors" / "vscode" / "syntaxes" / "arch.tmLanguage.json"
    grammar.write_text(grammar.read_text().replace("maxpool", "pool"))
    done = subprocess.run([sys.executable, str(tmp_path / "editors" / "build.py"), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "arch.tmLanguage.json is out of date" in done.stderr


@pytest.mark.thorough
def test_pictures_show_what_the_server_answers() -> None:
    spec = spec_from_file_location("editor_pictures", ROOT / "docs/editor_pictures.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # which dataclasses ask for
    spec.loader.exec_module(module)
    shown = module.pictures()
    page = (ROOT / "docs/editors.md").read_text(encoding="utf-8")
    assert {path.relative_to(ROOT / "docs").as_posix() for path in shown} == set(re.findall(r"!\[.*?\]\((.*?)\)", page))
    for path, text in shown.items():
        assert path.read_text(encoding="utf-8") == text, "run `make docs`"
        assert ElementTree.fromstring(text).tag.endswith("svg")
    words = {
        path.stem: " ".join(" ".join(ElementTree.fromstring(text).itertext()).replace("\N{NO-BREAK SPACE}", " ").split(" "))
        for path, text in shown.items()
    }
    assert "3 groups do not divide 16 input channels" in words["error"] and "Quick fix" in words["error"]
    assert "16x32x32 … 32x16x16" in words["hints"] and "unit(32, s=2): 16x32x32 → 32x16x16" in words["hover"]


def test_every_rule_has_a_kind_in_every_editor() -> None:
    kinds = {kind for rule in table.rules() for kind in rule.kinds}
    assert kinds == set(TOKENS)
    for rule in table.rules():
        groups = re.compile(rule.pattern).groups
        assert groups == (len(rule.kinds) if len(rule.kinds) > 1 else 0), rule.pattern


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_lexer_covers_every_network(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tokens = list(ArchLexer(stripnl=False).get_tokens(text))
    assert "".join(value for _, value in tokens) == text
    assert not [value for kind, value in tokens if kind is Error]


def test_lexer_tells_names_apart() -> None:
    kinds = dict(reversed([(value, kind) for kind, value in ArchLexer().get_tokens(VIT.read_text(encoding="utf-8"))]))
    assert kinds["layer_norm"] is Token.Name.Builtin
    assert kinds["conv_proj"] is Token.Name.Label
    assert kinds["block"] is Token.Keyword.Declaration
    assert kinds["layer"] is Token.Name.Class
    assert kinds["init"] is Token.Name.Attribute
    assert kinds["xavier_uniform"] is Token.Keyword.Constant


def test_pygments_finds_the_lexer() -> None:
    from pygments.lexers import get_lexer_by_name, get_lexer_for_filename

    assert type(get_lexer_by_name("arch")).__name__ == "ArchLexer"
    assert type(get_lexer_for_filename("net.arch")).__name__ == "ArchLexer"


def run(command: Sequence[str], folder: Path = ROOT, seconds: float = 300) -> str:
    """Return what a command prints. Fails with its output where it ends with an error."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=seconds, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def need(program: str) -> None:
    """Skip a test where a program is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


@pytest.fixture
def vscode(tmp_path: Path) -> Path:
    """Return a copy of the extension with its packages installed, and the networks where its tests look for them."""
    need("npm")
    shutil.copytree(EDITORS / "vscode", tmp_path / "editors" / "vscode", ignore=shutil.ignore_patterns("node_modules", "dist"))
    shutil.copytree(ROOT / "archs", tmp_path / "archs")
    folder = tmp_path / "editors" / "vscode"
    run(["npm", "ci", "--no-audit", "--no-fund"], folder)
    return folder


@pytest.mark.slow
def test_vscode_extension_is_built_and_its_grammar_is_that_of_vscode(vscode: Path) -> None:
    run(["npm", "test"], vscode)
    run(["npm", "run", "package"], vscode)
    held = run([sys.executable, "-m", "zipfile", "-l", "archc.vsix"], vscode)
    for name in ("dist/extension.js", "syntaxes/arch.tmLanguage.json", "snippets/arch.json", "language-configuration.json", "icon.png"):
        assert name in held


def test_snippets_are_sound() -> None:
    snippets = json.loads((EDITORS / "vscode" / "snippets" / "arch.json").read_text(encoding="utf-8"))
    assert len(snippets) >= 8
    for name, snippet in snippets.items():
        text = "\n".join([*snippet["body"], ""])
        for number, default in re.findall(r"\$\{(\d+):([^}]*)\}", text):
            text = text.replace(f"${{{number}:{default}}}", default).replace(f"${number}", default)
        text = text.replace("$0", "relu")
        assert not parse(Source("snippet.arch", text)).diagnostics, (name, text)
        if snippet["prefix"] == "arch":
            assert not check_text(text).diagnostics, text


@pytest.mark.slow
def test_codemirror_rules_cover_every_network(tmp_path: Path) -> None:
    need("node")
    script = tmp_path / "cover.mjs"
    script.write_text(
        f"""
import {{ readFileSync }} from "node:fs";
import {{ next }} from {json.dumps(str(EDITORS / "codemirror" / "lines.js"))};
const kinds = {{}};
for (const path of {json.dumps([str(path) for path in NETWORKS])}) {{
  for (const line of readFileSync(path, "utf8").split("\\n")) {{
    for (let at = 0; at < line.length; ) {{
      if (/\\s/.test(line[at])) {{ at += 1; continue; }}
      for (const [end, tag] of next(line, at)) {{
        const piece = line.slice(at, end);
        if (piece.trim() && tag === "") throw new Error(`${{path}}: ${{line}}: ${{piece}}`);
        kinds[`${{piece}} ${{tag}}`] = true;
        at = end;
      }}
    }}
  }}
}}
console.log(Object.keys(kinds).length > 1000, kinds["layer_norm name.standard"], kinds["FC name.standard"] ?? kinds["fc name.standard"]);
"""
    )
    assert run(["node", str(script)]).strip() == "true true true"


@pytest.mark.slow
@pytest.mark.parametrize("program", ["vim", "nvim"])
def test_vim_colours(program: str, tmp_path: Path) -> None:
    need(program)
    out = tmp_path / "out"
    words = ["arch", "vit(", "layer_norm", "conv_proj:", "xavier_uniform", "class_token:", "multihead_attention", "patch=", "# Figure"]
    lines = [
        f"set runtimepath^={EDITORS / 'vim'}",
        "filetype plugin on",
        "syntax on",
        f"edit {VIT}",
        "let found = [&filetype, &commentstring]",
        *(
            f"call cursor(1, 1) | call search('\\V{word}', 'cW') | call add(found, synIDattr(synID(line('.'), col('.'), 1), 'name'))"
            for word in words
        ),
        f"call writefile(found, '{out}')",
        "qall!",
    ]
    script = tmp_path / "script.vim"
    script.write_text("\n".join(lines) + "\n")
    start = ["nvim", "--headless", "-u", str(script)] if program == "nvim" else ["vim", "-N", "-u", str(script), "-es"]
    run(start, seconds=60)
    assert out.read_text().split("\n")[:11] == [
        *("arch", "# %s", "archStructure", "archDefinition", "archOperator", "archLabel", "archValue", "archLabel", "archOperator"),
        *("archOption", "archComment"),
    ]


@pytest.mark.slow
def test_emacs_colours_and_indentation(tmp_path: Path) -> None:
    need("emacs")
    flat = tmp_path / "net.arch"
    flat.write_text("input 3x32x32\nblock unit(w) {\nconcat<\nconv3-{w}(pad=same)\n| .\n>\n}\nunit(8)\n")
    script = tmp_path / "script.el"
    script.write_text(
        f"""
(add-to-list 'load-path "{EDITORS / "emacs"}")
(require 'arch-mode)
(find-file "{VIT}")
(font-lock-ensure)
(dolist (word '("block" "layer_norm" "xavier_uniform" "eps"))
  (goto-char (point-min)) (re-search-forward (regexp-quote word))
  (princ (format "%s=%s\\n" word (get-text-property (match-beginning 0) 'face))))
(find-file "{flat}")
(princ (format "%s\\n" major-mode))
(let ((inhibit-message t)) (indent-region (point-min) (point-max)))
(princ (buffer-string))
"""
    )
    printed = run(["emacs", "--batch", "-Q", "-l", str(script)], seconds=60)
    for line in ("block=font-lock-keyword-face", "layer_norm=font-lock-function-name-face", "xavier_uniform=font-lock-constant-face"):
        assert line in printed
    assert "arch-mode\n" in printed
    assert "block unit(w) {\n  concat<\n" in printed
    assert "}\nunit(8)\n" in printed
