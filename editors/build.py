"""Write what the editors are given of the table of highlighting: `python editors/build.py`; `--check` says what is out of date."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from archc.ui.highlighting import table

HERE = Path(__file__).parent

# kind -> scope of TextMate, without `.arch`. The names are those that themes know.
SCOPES = {
    "comment": "comment.line.number-sign",
    "string": "string.quoted.double",
    "reference": "variable.other.readwrite.reference",
    "label": "entity.name.tag.label",
    "structure": "keyword.declaration",
    "definition": "entity.name.type",
    "control": "keyword.control",
    "logic": "keyword.operator.logical",
    "option": "variable.parameter",
    "operator": "support.function",
    "value": "constant.language",
    "call": "entity.name.function",
    "number": "constant.numeric",
    "variable": "variable.language",
    "name": "variable.other",
    "symbol": "keyword.operator",
    "bracket": "punctuation",
}

# kind -> tag of CodeMirror, with its modifiers after a dot.
TAGS = {
    "comment": "lineComment",
    "string": "string",
    "reference": "variableName.special",
    "label": "labelName",
    "structure": "definitionKeyword",
    "definition": "typeName.definition",
    "control": "controlKeyword",
    "logic": "operatorKeyword",
    "option": "attributeName",
    "operator": "name.standard",
    "value": "atom",
    "call": "variableName.function",
    "number": "number",
    "variable": "self",
    "name": "variableName",
    "symbol": "operator",
    "bracket": "bracket",
}

CHANGE = "Made by editors/build.py from ui/highlighting/table.py: change these, and run it."


def texts() -> Iterator[tuple[Path, str]]:
    """Yield each file that is made from the table, and its text."""
    yield HERE / "vscode" / "syntaxes" / "arch.tmLanguage.json", json.dumps(textmate(), indent=2) + "\n"
    yield HERE / "vim" / "syntax" / "arch.vim", vim()
    yield HERE / "emacs" / "arch-words.el", emacs()
    yield HERE / "codemirror" / "rules.js", codemirror()


def textmate() -> dict[str, object]:
    """Return the grammar of TextMate, which VS Code, Sublime Text, JetBrains and GitHub read."""
    patterns: list[dict[str, object]] = []
    for rule in table.rules():
        if len(rule.kinds) == 1:
            patterns.append({"match": rule.pattern, "name": f"{SCOPES[rule.kinds[0]]}.arch"})
        else:
            captures = {str(number): {"name": f"{SCOPES[kind]}.arch"} for number, kind in enumerate(rule.kinds, 1) if kind}
            patterns.append({"match": rule.pattern, "captures": captures})
    return {"$comment": CHANGE, "name": "archc", "scopeName": "source.arch", "fileTypes": ["arch"], "patterns": patterns}


def codemirror() -> str:
    """Return the rules as a module of JavaScript: pairs of an expression and the tags of its groups."""
    lines = [f"// {CHANGE}", "export const rules = ["]
    for rule in table.rules():
        pattern = rule.pattern.replace("/", r"\/")
        if "(?i:" in pattern:  # which JavaScript lacks
            words = table.any_of(table.operators())
            pattern = pattern.replace(f"(?i:{words})", "(?:" + "|".join(map(_any_case, _alternatives(words))) + ")")
        lines.append(f"  [/{pattern}/y, {json.dumps([TAGS.get(kind, '') for kind in rule.kinds])}],")
    return "\n".join([*lines, "];", ""])


def _alternatives(words: str) -> list[str]:
    return words.removeprefix("(?:").removesuffix(")").split("|")


def _any_case(word: str) -> str:
    """Return an expression for a word in any case, as the whole of it or its first letters are capitals: `fc`, `FC`, `Conv`."""
    return "".join(f"[{letter.lower()}{letter.upper()}]" if letter.isalpha() else letter for letter in word)


def vim() -> str:
    """Return the syntax file of Vim and Neovim."""
    ends = r"\ze\%(\d\+\%(x\d\+\)*\)\?\%([^A-Za-z0-9_]\|$\)/ nextgroup=archShort'"
    operator = rf"execute 'syntax match archOperator /' . s:before . '\%({_vim_words(table.operators())}\)" + ends
    return f"""" {CHANGE}
" Highlighting of .arch files: https://vimhelp.org/syntax.txt.html
if exists("b:current_syntax")
  finish
endif

let s:before = '\\%([A-Za-z0-9_.@]\\)\\@1<!'
syntax case match
syntax iskeyword @,48-57,_

" What is defined later wins, so the general comes before the special.
execute 'syntax match archName /' . s:before . '[A-Za-z_]\\w*/'
execute 'syntax match archCall /' . s:before . '[A-Za-z_]\\w*\\ze[(<]/'
syntax match archNumber /\\<\\d[0-9_]*\\%(\\.\\d\\+\\)\\?\\%([eE][+-]\\?\\d\\+\\|[KMG]\\)\\?/
syntax match archNumber /\\<\\d[0-9_]*\\%(x\\%(\\d[0-9_]*\\|[A-Z]\\w*\\)\\)\\+/
syntax match archSymbol /=>\\|[-+*\\/%=<>|.]/
execute 'syntax match archValue /' . s:before . '\\%({_vim_words(table.values())}\\)\\>/'
syntax case ignore
{operator}
syntax case match
syntax match archShort /\\d\\+\\%(x\\d\\+\\)*/ contained
execute 'syntax match archOption /' . s:before . '[A-Za-z_]\\w*\\ze\\s*=[=>]\\@!/'
execute 'syntax match archStructure /' . s:before . '\\%({_vim_words(table.STRUCTURE)}\\)\\>\\%(\\s*=\\)\\@!/'
execute 'syntax match archControl /' . s:before . '\\%({_vim_words(table.CONTROL)}\\)\\>\\%(\\s*=\\)\\@!/'
execute 'syntax match archLogic /' . s:before . '\\%({_vim_words(table.LOGIC)}\\)\\>\\%(\\s*=\\)\\@!/'
execute 'syntax match archVariable /' . s:before . 'in\\ze\\.[cdhw]/'
syntax match archDefinition /\\%(\\<\\%({_vim_words(table.DECLARING)}\\)\\s\\+\\)\\@<=[A-Za-z_]\\w*/
execute 'syntax match archLabel /' . s:before . '\\[\\@1<!\\w\\+\\%(-\\w\\+\\)*\\ze\\%({{[^{{}}]*}}\\%(-{{[^{{}}]*}}\\)\\?\\)\\?\\s*:/'
syntax match archReference /@\\.\\?\\w\\+\\%(\\.\\w\\+\\)*/
syntax match archString /"[^"]*"/
syntax match archComment /#.*/ contains=@Spell

highlight default link archComment Comment
highlight default link archString String
highlight default link archReference Identifier
highlight default link archLabel Label
highlight default link archStructure Statement
highlight default link archDefinition Type
highlight default link archControl Conditional
highlight default link archLogic Operator
highlight default link archOption Identifier
highlight default link archOperator Function
highlight default link archShort Number
highlight default link archValue Constant
highlight default link archCall Function
highlight default link archNumber Number
highlight default link archVariable Identifier
highlight default link archSymbol Operator

let b:current_syntax = "arch"
"""


def _vim_words(words: tuple[str, ...]) -> str:
    return "\\|".join(sorted(words, key=lambda word: (-len(word), word)))


def emacs() -> str:
    """Return the words as lists of Emacs Lisp, for `arch-mode.el`."""
    lists = {
        "structure": table.STRUCTURE,
        "control": (*table.CONTROL, *table.LOGIC),
        "declaring": table.DECLARING,
        "operators": table.operators(),
        "values": table.values(),
    }
    lines = [";;; arch-words.el --- Words of the language of archc  -*- lexical-binding: t -*-", "", f";; {CHANGE}", "", ";;; Code:", ""]
    for name, words in lists.items():
        quoted = " ".join(json.dumps(word) for word in words)
        lines += [f"(defconst arch-words-{name}", f"  '({quoted}))", ""]
    return "\n".join([*lines, "(provide 'arch-words)", ";;; arch-words.el ends here", ""])


def main() -> int:
    """Write the files, or return 1 where `--check` finds one that is out of date."""
    stale = [path for path, text in texts() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(HERE.parent)} is out of date; run `python editors/build.py`", file=sys.stderr)
        return 1 if stale else 0
    for path, text in texts():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
