"""Layers as PyTorch, Keras and Caffe write them, transcribed into items.

The text of a call is parsed by Python's own parser and never run. What an item does not do exactly is not transcribed: the
transcript then says why. The tables of layers stand beside it, one for each framework.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace

from dsl.transcribe import caffe, keras, pytorch
from dsl.transcribe.layers import CAFFE, KERAS, PYTORCH, Layer, Untranslatable, Value, bound, plain

LAYERS: dict[str, dict[str, Layer]] = {PYTORCH: pytorch.LAYERS, KERAS: keras.LAYERS}
BY_LOWER = {framework: {name.lower(): layer for name, layer in layers.items()} for framework, layers in LAYERS.items()}

INCOMING = ("in_channels", "in_features", "num_features")
MOST = 20_000  # characters of one statement that are looked at


@dataclass(frozen=True)
class Transcript:
    """A statement of another framework: what stands in its place, or "" and why nothing does.

    `begin` and `end` are its offsets in the text, without the blanks and the comment around it.
    """

    framework: str
    call: str
    text: str
    begin: int
    end: int
    notes: tuple[str, ...] = ()
    input: str = ""  # the shape of what comes in, where the layer says it
    takes: str = ""  # the variable that it is applied to, and the one that its result is called by
    gives: str = ""
    incoming: int | None = None  # the channels or values that come in, where it says them


_CALL = re.compile(r"\s*(?:-\s*)?(?:(?:self\.)?([A-Za-z_]\w*)\s*=\s*)?(?=[A-Za-z_][\w.]*\s*\()")
_LIST = re.compile(r"\s*(?:self\.)?[A-Za-z_]\w*\s*\+?=\s*(?=\[\s*[A-Za-z_][\w.]*\s*\()")
_CAFFE = re.compile(r"\s*layers?\s*\{")
_PREFIX = {"nn": PYTORCH, "torch": PYTORCH, "layers": KERAS, "keras": KERAS, "tf": KERAS, "tfl": KERAS, "L": KERAS}
_VARIABLES = ("x", "y", "z", "h", "out", "output", "outputs", "model", "net", "network", "inputs", "inp")


def transcribed(text: str) -> Transcript | None:
    """The transcript of one statement; None where it is none of another framework."""
    if len(text) > MOST:
        return None
    if _CAFFE.match(text):
        return _layer_of_caffe(text)
    if (listed := _LIST.match(text)) is not None:
        return _list(text, listed.end())
    head = _CALL.match(text)
    if head is None:
        return None
    begin = head.end()
    parsed = _parsed(text[begin:])
    if parsed is None:
        return None
    call, length = parsed
    end = begin + length
    first = begin if head[1] is None else head.start() + len(head.group()) - len(head.group().lstrip())
    stop = end + len(re.match(r"(?:[ \t]*,)?", text[end:]).group())  # type: ignore[union-attr]
    found = _call(call)
    if found is None:
        return None
    label = head[1] if head[1] and head[1] not in _VARIABLES else ""
    if label and found.text:
        found = _labelled(found, label)
        found = replace(found, notes=(*found.notes, ORDER) if "self." in head.group() else found.notes)
    return replace(found, begin=first, end=stop, gives=head[1] or "")


def _list(text: str, begin: int) -> Transcript | None:
    """`layers = [nn.Conv2d(3, 8, 3), nn.ReLU()]`"""
    parsed = _parsed(f"Sequential({text[begin:].rstrip()})")
    found = _call(parsed[0]) if parsed is not None else None
    if found is None or not found.text:
        return found and replace(found, begin=begin, end=len(text.rstrip()))
    return replace(found, begin=len(text) - len(text.lstrip()), end=len(text.rstrip()))


ORDER = "items run in the order of their lines; in PyTorch that is what `forward` says"


def _parsed(text: str) -> tuple[ast.Call, int] | None:
    """The call that a text begins with, and how long it is."""
    source = text.strip()
    for attempt in dict.fromkeys((source, source.rstrip(",; \t"), re.sub(r"\s*(?:#[^\n]*)?$", "", source).rstrip(",; \t"))):
        try:
            tree = ast.parse(attempt, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if not isinstance(tree, ast.Call) or tree.end_lineno is None or tree.end_col_offset is None:
            return None
        lines = attempt.splitlines(keepends=True)
        last = lines[tree.end_lineno - 1].encode()[: tree.end_col_offset].decode(errors="replace")
        return tree, sum(map(len, lines[: tree.end_lineno - 1])) + len(last)
    return None


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _call(call: ast.Call, inside: str = "") -> Transcript | None:
    """A call of a layer, of `add` with a layer, or of a layer that is applied to a variable at once."""
    if isinstance(call.func, ast.Call):
        inner = _call(call.func)
        if inner is None:
            return None
        if len(call.args) != 1 or call.keywords or not isinstance(call.args[0], ast.Name):
            return replace(inner, text="", notes=("it takes several tensors, or one that is computed on the spot: use `@name`",))
        return replace(inner, takes=call.args[0].id)
    written = _dotted(call.func)
    name = written.rpartition(".")[2]
    if name == "add" and "." in written and len(call.args) == 1 and not call.keywords:
        return _call(call.args[0], KERAS) if isinstance(call.args[0], ast.Call) else None
    if name == "Sequential":
        return _sequence(call, written, inside)
    found = _lookup(name, written, call, inside)
    if found is None:
        return None
    framework, layer = found
    try:
        arguments = bound(call, layer, framework)
        text, notes = layer.write(arguments)
        shape = arguments.shape()
    except Untranslatable as reason:
        return Transcript(framework, written, "", 0, 0, tuple(map(str, reason.args)))
    incoming = next((arguments[name] for name in INCOMING if isinstance(arguments.values.get(name), int)), None)
    if arguments.values.get("out_features", 0) is None:  # one number alone, which comes out
        incoming = None
    return Transcript(framework, written, text, 0, 0, notes, shape, incoming=incoming)


def _lookup(name: str, written: str, call: ast.Call, inside: str) -> tuple[str, Layer] | None:
    said = inside or next((_PREFIX[part] for part in written.split(".")[:-1] if part in _PREFIX), "")
    if "." in written and not said:
        return None
    known = [framework for framework in (PYTORCH, KERAS) if name in LAYERS[framework]]
    if not known:
        known = [framework for framework in (PYTORCH, KERAS) if name.lower() in BY_LOWER[framework]]
        if not known:
            return None
        if len(known) == 2:  # `conv2d`, written in small letters: two numbers are Keras's, more PyTorch's
            words = {keyword.arg for keyword in call.keywords}
            known = [KERAS if len(call.args) <= 2 and not words & {"in_channels", "kernel_size", "padding", "p", "inplace"} else PYTORCH]
        framework = said if said in known else known[0]
        return framework, BY_LOWER[framework][name.lower()]
    framework = said if said in known else known[0]
    if said and said not in known:
        return None
    return framework, LAYERS[framework][name]


def _sequence(call: ast.Call, written: str, inside: str) -> Transcript | None:
    """`nn.Sequential(a, b)`, `keras.Sequential([a, b])`, and PyTorch's with an ordered dictionary of names."""
    members: list[tuple[str, ast.expr]] = []
    for arg in call.args:
        if isinstance(arg, ast.Call) and _dotted(arg.func).endswith("OrderedDict") and len(arg.args) == 1:
            pairs = arg.args[0]
            if not isinstance(pairs, ast.List):
                return None
            for pair in pairs.elts:
                if not (isinstance(pair, ast.Tuple) and len(pair.elts) == 2 and isinstance(pair.elts[0], ast.Constant)):
                    return None
                members.append((str(pair.elts[0].value), pair.elts[1]))
        elif isinstance(arg, (ast.List, ast.Tuple)):
            members.extend(("", element) for element in arg.elts)
        else:
            members.append(("", arg))
    framework = inside or (PYTORCH if written.startswith(("nn.", "torch.")) else KERAS if "keras" in written else "")
    lines: list[Transcript] = []
    for label, member in members:
        found = _call(member, framework) if isinstance(member, ast.Call) else None
        if found is None:
            shown = ast.unparse(member)[:40]
            return Transcript(framework or PYTORCH, written, "", 0, 0, (f"`{shown}` in it is no layer that is known here",))
        framework = framework or found.framework
        if not found.text:
            return Transcript(framework, written, "", 0, 0, tuple(f"{found.call}: {note}" for note in found.notes))
        lines.append(_labelled(found, label) if label else found)
    if not lines:
        return None
    notes = tuple(dict.fromkeys(note for line in lines for note in line.notes))
    shape = next((line.input for line in lines if line.input), "")
    return Transcript(framework, written, "\n".join(line.text for line in lines), 0, 0, notes, shape)


def _labelled(found: Transcript, label: str) -> Transcript:
    """An item under a label; several in brackets, numbered as PyTorch numbers the members of a `Sequential`."""
    lines = found.text.split("\n")
    if found.text.startswith("input "):
        return found
    if len(lines) > 1 or found.call.endswith("Sequential"):
        opening, closing = ("[", "]") if found.framework == PYTORCH and not re.match(r"[a-z]\w*: ", lines[0]) else ("{", "}")
        inner = "\n".join(f"  {line}" for line in lines)
        return replace(found, text=f"{label}: {opening}\n{inner}\n{closing}")
    return replace(found, text=f"{label}: {{ {found.text} }}" if "; " in found.text else f"{label}: {found.text}")


# ---- Caffe

_TOKEN = re.compile(
    r'\s*(?:#[^\n]*\n\s*)*(?:([A-Za-z_]\w*)\s*:?\s*(\{)|([A-Za-z_]\w*)\s*:\s*("[^"\n]*"|\'[^\'\n]*\'|[^\s{}#;,]+)[ \t]*[;,]?|(\}))'
)
_DEEPEST = 8


def _fields(text: str, at: int, depth: int = 0) -> tuple[dict[str, list[Value]], int] | None:
    """The fields of a message in Caffe's text format, from behind its `{` to behind its `}`."""
    fields: dict[str, list[Value]] = {}
    while (token := _TOKEN.match(text, at)) is not None and depth < _DEEPEST:
        at = token.end()
        if token[5]:
            return fields, at
        if token[2]:
            inner = _fields(text, at, depth + 1)
            if inner is None:
                return None
            fields.setdefault(token[1], []).append(inner[0])
            at = inner[1]
        else:
            fields.setdefault(token[3], []).append(plain(token[4]))
    return None


def _layer_of_caffe(text: str) -> Transcript | None:
    opened = _CAFFE.match(text)
    assert opened is not None
    parsed = _fields(text, opened.end())
    if parsed is None:
        return None
    fields, end = parsed
    begin = len(text) - len(text.lstrip())
    kind = str(fields.get("type", [""])[0])
    label = re.sub(r"\W", "_", str(fields.get("name", [""])[0]))
    write = caffe.LAYERS.get(kind.lower())
    bottoms, tops = fields.get("bottom", []), fields.get("top", [])
    takes, gives = str(bottoms[0]) if bottoms else "", str(tops[0]) if tops else ""
    shown = f"{kind or 'layer'}" + (f' "{label}"' if label else "")
    try:
        if write is None:
            raise Untranslatable(f"`{kind}` is none of the layers that are transcribed")
        item, notes = write(fields)
        if len(bottoms) > 1:
            raise Untranslatable("it takes several tensors: an item takes one, `@name` stands for another")
    except Untranslatable as reason:
        return Transcript(CAFFE, shown, "", begin, end, tuple(map(str, reason.args)), takes=takes, gives=gives)
    if label and not item.startswith("input ") and re.match(r"[A-Za-z]\w*$", label):
        item = f"{label}: {item}"
    return Transcript(CAFFE, shown, item, begin, end, notes, takes=takes, gives=gives)
