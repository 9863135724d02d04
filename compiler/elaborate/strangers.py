"""Words that are neither operators nor blocks: layers of other frameworks, words of programming languages, slips."""

from __future__ import annotations

import re
from typing import Any

from archc.compiler.elaborate.scopes import Flow, Tensor
from archc.compiler.elaborate.site import Site
from archc.compiler.ops import OPERATORS
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.transcribe import defaults_in, transcribed
from archc.dsl.vocabulary import foreign, names

RESIDUAL = "residual"
STRANGERS = {  # words of programming languages
    "else": "`else` follows the `}` of an `if`",
    "elif": "it is `else if` here",
    "while": "there is `for`, over a list, and `x3` after an item",
    "def": "a block is written `block name(width) { ... }`",
    "class": "a block is written `block name(width) { ... }`",
    "return": "a block returns the tensor that its last item returns",
    "import": 'another file is brought in by `use "std/resnet.arch"`',
}


def unknown_word(op: ast.Op, stem: str, site: Site) -> Diagnostic:
    """Report a word that is neither operator nor block."""
    word = op.word
    known = [*OPERATORS, RESIDUAL, *site.env.known(blocks=True)]
    if word in STRANGERS:
        return names.unknown_operator(word, [], STRANGERS[word])
    if here := OPERATORS.get(foreign.operator(word).rstrip("0123456789")):
        notes, facts = _of_another_framework(op, site.incoming)
        hint = f"it is `{foreign.operator(word)}` here, written {here.short_form}"
        return names.unknown_operator(word, known, hint, notes).with_facts(**facts)
    if meant := _with_underscores(word):
        return names.unknown_operator(word, [meant], f"did you mean `{meant}`?")
    if word.lower() == RESIDUAL:
        return names.unknown_operator(word, known, "its branches stand in `< >`: `residual<body>`")
    return names.unknown_operator(stem, known)


def _with_underscores(word: str) -> str:
    """Return `conv3-64` for `conv3_64`, `maxpool3/2` for `maxpool3_2`; "" for a word that is not of this kind."""
    found = re.fullmatch(r"([A-Za-z_]*[A-Za-z])(?:_?([0-9]+(?:x[0-9]+)*))?_([0-9]+)", word)
    operator = OPERATORS.get(found[1].lower()) if found else None
    if found is None or operator is None:
        return ""
    kernel, out, stride = operator.short
    first = found[2] or ""
    if out:
        return f"{found[1]}{first}-{found[3]}" if bool(first) == bool(kernel) else ""
    if stride and first:
        return f"{found[1]}{first}/{found[3]}"
    return f"{found[1]}{found[3]}" if kernel and not first else ""


def _of_another_framework(op: ast.Op, incoming: Flow) -> tuple[list[str], dict[str, Any]]:
    """Describe whose layer it is and whether it fits the incoming tensor, in notes and facts."""
    layer = transcribed(op.span.text, defaults_in(op.span.source.text))
    if layer is None:
        operator = OPERATORS.get(foreign.operator(op.word).rstrip("0123456789"))
        if operator is None or all(arg.name in operator.option_names for arg in op.args):
            return [], {}
        return [f"its arguments may mean something else elsewhere; here it is written {operator.signature}"], {}
    takes = next(iter(layer.incoming), None) if layer.text else None
    shape = incoming.shape if isinstance(incoming, Tensor) else None
    differs = takes.differs(shape) if takes is not None and shape is not None else ""
    note = f"this is {layer.framework}'s `{layer.call}`"
    if layer.other is not None:
        notes = [*layer.readings]
    elif not layer.text:
        notes = [note, *layer.notes]
    elif takes is not None and takes.channels is not None and not differs:
        notes = [f"{note}; what comes in ({takes.channels:,}) is not written here"]
    else:
        notes = [note]
    if differs:
        notes.append(differs)
    facts: dict[str, Any] = {"unsure": bool(differs or layer.other), "refused": False}
    if takes is not None:
        facts |= {"incoming": (layer.incoming,), "refused": shape is not None and takes.refuses(shape)}
    return notes, facts
