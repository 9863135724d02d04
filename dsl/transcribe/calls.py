"""Translate layers as PyTorch, Keras and Caffe write them to items.

The text of a call is parsed by Python's own parser and never run. A layer that no item matches exactly is not translated; the
transcript then says why. The tables of layers are in one module per framework.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace

from archc.dsl.transcribe import caffe, keras, pytorch
from archc.dsl.transcribe.explicit import NO_DEFAULTS, Defaults, explicit
from archc.dsl.transcribe.incoming import Incoming, incoming
from archc.dsl.transcribe.layers import CAFFE, KERAS, PYTORCH, Layer, Untranslatable, Value, bound, plain
from archc.dsl.vocabulary import foreign

LAYERS: dict[str, dict[str, Layer]] = {PYTORCH: pytorch.LAYERS, KERAS: keras.LAYERS}
MOST = 20_000  # most characters of one statement that are examined


@dataclass(frozen=True)
class Transcript:
    """A statement of another framework: its replacement, or "" and the reason why there is none.

    `begin` and `end` are its offsets in the text, without the blanks and the comment around it.
    """

    framework: str
    call: str
    text: str
    begin: int
    end: int
    notes: tuple[str, ...] = ()
    input: str = ""  # the input shape, if the layer states it
    takes: str = ""  # the variable that it is applied to
    result: str = ""  # the variable of its result
    incoming: tuple[Incoming | None, ...] = ()  # what each operator in `text` states about its input
    other: Transcript | None = None  # the reading of another framework, if the call is ambiguous

    @property
    def readings(self) -> tuple[str, ...]:
        """Return the notes for a call that can be read in two ways."""
        if self.other is None:
            return ()
        theirs = f"it is `{self.other.text}`" if self.other.text else "it cannot be written as an item"
        return (f"`{self.call}` is read as {self.framework}'s here; as {self.other.framework}'s {theirs}",)


@dataclass(frozen=True)
class Reading:
    """The context of a call: its framework, if known, and the options that the `default`s of the file set."""

    framework: str = ""
    defaults: Defaults = field(default_factory=dict)


_CALL = re.compile(r"\s*(?:-\s*)?(?:(?:self\.)?([A-Za-z_]\w*)\s*=\s*)?(?=[A-Za-z_][\w.]*\s*\()")
_LIST = re.compile(r"\s*(?:self\.)?[A-Za-z_]\w*\s*\+?=\s*(?=\[\s*[A-Za-z_][\w.]*\s*\()")
_CAFFE = re.compile(r"\s*layers?\s*\{")
_PREFIX = {"nn": PYTORCH, "torch": PYTORCH, "layers": KERAS, "keras": KERAS, "tf": KERAS, "tfl": KERAS, "L": KERAS, "F": PYTORCH}
_VARIABLES = ("x", "y", "z", "h", "out", "output", "outputs", "model", "net", "network", "inputs", "inp")


def transcribed(text: str, defaults: Defaults = NO_DEFAULTS, framework: str = "") -> Transcript | None:
    """Return the transcript of one statement; None if it is not one of another framework.

    `defaults` are those of the file that contains it, `framework` is the one of the lines around it.
    """
    reading = Reading(framework, defaults)
    if len(text) > MOST:
        return None
    if _CAFFE.match(text):
        return _layer_of_caffe(text, reading)
    if (listed := _LIST.match(text)) is not None:
        return _list(text, listed.end(), reading)
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
    found = _call(call, reading)
    if found is None:
        return None
    label = head[1] if head[1] and head[1] not in _VARIABLES else ""
    if label and found.text:
        found = _labelled(found, label)
        found = replace(found, notes=(*found.notes, ORDER) if "self." in head.group() else found.notes)
    return replace(found, begin=first, end=stop, result=head[1] or "")


def _list(text: str, begin: int, reading: Reading) -> Transcript | None:
    """Translate `layers = [nn.Conv2d(3, 8, 3), nn.ReLU()]`."""
    parsed = _parsed(f"Sequential({text[begin:].rstrip()})")
    found = _call(parsed[0], reading) if parsed is not None else None
    if found is None or not found.text:
        return found and replace(found, begin=begin, end=len(text.rstrip()))
    return replace(found, begin=len(text) - len(text.lstrip()), end=len(text.rstrip()))


ORDER = "items run in the order of their lines; in PyTorch, `forward` determines the order"


def _parsed(text: str) -> tuple[ast.Call, int] | None:
    """Return the call at the start of a text, and its length."""
    source = text.strip()
    for attempt in dict.fromkeys((source, source.rstrip(",; \t"), re.sub(r"\s*(?:#[^\n]*)?$", "", source).rstrip(",; \t"))):
        try:
            tree = ast.parse(attempt, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if isinstance(tree, ast.Tuple) and attempt.endswith(","):  # of one element: the comma separates list elements
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


def _call(call: ast.Call, reading: Reading) -> Transcript | None:
    """Translate a call of a layer, of `add` with a layer, or of a layer that is immediately applied to a variable."""
    if isinstance(call.func, ast.Call):
        inner = _call(call.func, reading)
        if inner is None:
            return None
        if len(call.args) != 1 or call.keywords or not isinstance(call.args[0], ast.Name):
            return replace(inner, text="", notes=("it takes several tensors, or one that is computed inline: use `@name`",))
        return replace(inner, takes=call.args[0].id)
    written = _dotted(call.func)
    name = written.rpartition(".")[2]
    if name == "add" and "." in written and len(call.args) == 1 and not call.keywords:
        return _call(call.args[0], replace(reading, framework=KERAS)) if isinstance(call.args[0], ast.Call) else None
    if name == "Sequential":
        return _sequence(call, written, reading)
    if name == name.lower() and written.startswith(FUNCTIONS):
        return _function(call, name, written, reading)
    candidates = _lookup(name, written, call, reading.framework)
    if not candidates:
        return None
    found, fits = _written(call, written, *candidates[0], reading)
    for candidate in candidates[1:]:
        other, other_fits = _written(call, written, *candidate, reading)
        if other_fits and not fits:
            found, fits = other, True
        elif other_fits and fits and other.text != found.text:
            found = replace(found, other=other)
    return found


FUNCTIONS_OF_PYTORCH = ("torch.", "F.", "nn.functional.")
FUNCTIONS = (*FUNCTIONS_OF_PYTORCH, "tf.nn.", "keras.activations.", "tf.keras.activations.")


def _function(call: ast.Call, name: str, written: str, reading: Reading) -> Transcript | None:
    """Translate `torch.flatten(x, 1)`, which takes the tensor first."""
    of_pytorch = written.startswith(FUNCTIONS_OF_PYTORCH)
    if not of_pytorch or name not in pytorch.FUNCTIONS:
        known = _lookup(name, written, call, reading.framework)
        return Transcript(known[0][0], written, "", 0, 0, ("no known item does what this function does",)) if known else None
    if not call.args or not isinstance(call.args[0], ast.Name):
        return Transcript(PYTORCH, written, "", 0, 0, ("it takes a tensor that is computed inline: use `@name`",))
    kind, signature = pytorch.FUNCTIONS[name]
    layer = pytorch.LAYERS[kind]
    rest = ast.Call(call.func, call.args[1:], call.keywords)
    found, _ = _written(rest, written, PYTORCH, kind, replace(layer, signature=signature or layer.signature), reading)
    return replace(found, takes=call.args[0].id)


def _written(call: ast.Call, written: str, framework: str, name: str, layer: Layer, reading: Reading) -> tuple[Transcript, bool]:
    """Translate a call as a layer of one framework, and return whether that layer accepts these arguments."""
    fits = False
    try:
        arguments = bound(call, layer, framework)
        fits = True
        text, notes = layer.write(arguments)
        text = explicit(text, reading.defaults, framework)
        shape = arguments.shape()
        takes = incoming(framework, name, ast.unparse(call), arguments)
    except Untranslatable as reason:
        return Transcript(framework, written, "", 0, 0, tuple(map(str, reason.args))), fits
    items = 0 if text == "." or text.startswith("input ") else text.count("; ") + 1
    return Transcript(framework, written, text, 0, 0, notes, shape, incoming=(takes, *(None,) * (items - 1)) if items else ()), True


def _lookup(name: str, written: str, call: ast.Call, inside: str) -> list[tuple[str, str, Layer]]:
    """Return the layers that a name may be, with their frameworks, likeliest first; several only if the call is ambiguous."""
    said = next((_PREFIX[part] for part in written.split(".")[:-1] if part in _PREFIX), "") or inside
    if "." in written and not said:
        return []
    if "." not in written and name in foreign.BOTH:
        return []
    every = [(framework, other, layer) for framework, layers in LAYERS.items() for other, layer in layers.items()]
    known = [found for found in every if found[1] == name] or [found for found in every if found[1].lower() == name.lower()]
    if said and (len({framework for framework, _, _ in known}) > 1 or "." in written):
        known = [found for found in known if found[0] == said]
    # `conv2d`, in lower case: two numbers are Keras's, more PyTorch's
    words = {keyword.arg for keyword in call.keywords}
    keras_first = name == name.lower() and len(call.args) <= 2 and not words & {"in_channels", "kernel_size", "padding", "p", "inplace"}
    return sorted(known, key=lambda found: (found[0] == KERAS) != keras_first)


def _sequence(call: ast.Call, written: str, reading: Reading) -> Transcript | None:
    """Translate `nn.Sequential(a, b)`, `keras.Sequential([a, b])`, and PyTorch's with an ordered dictionary of names."""
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
    framework = reading.framework or (PYTORCH if written.startswith(("nn.", "torch.")) else KERAS if "keras" in written else "")
    lines: list[Transcript] = []
    for label, member in members:
        found = _call(member, replace(reading, framework=framework)) if isinstance(member, ast.Call) else None
        if found is None:
            shown = ast.unparse(member)[:40]
            return Transcript(framework or PYTORCH, written, "", 0, 0, (f"it contains `{shown}`, which is not a known layer",))
        framework = framework or found.framework
        if not found.text:
            return Transcript(framework, written, "", 0, 0, tuple(f"{found.call}: {note}" for note in found.notes))
        lines.append(_labelled(found, label) if label else found)
    if not lines:
        return None
    notes = tuple(dict.fromkeys(note for line in lines for note in line.notes))
    shape = next((line.input for line in lines if line.input), "")
    text = "\n".join(line.text for line in lines)
    takes = tuple(each for line in lines for each in line.incoming)
    other = next((line.other for line in lines if line.other is not None), None)
    return Transcript(framework, written, text, 0, 0, notes, shape, incoming=takes, other=other)


def _labelled(found: Transcript, label: str) -> Transcript:
    """Label an item; several go in brackets, numbered as PyTorch numbers the members of a `Sequential`."""
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
    """Parse the fields of a message in Caffe's text format, from after its `{` to after its `}`."""
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


def _layer_of_caffe(text: str, reading: Reading) -> Transcript | None:
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
    takes, result = str(bottoms[0]) if bottoms else "", str(tops[0]) if tops else ""
    shown = f"{kind or 'layer'}" + (f' "{label}"' if label else "")
    try:
        if write is None:
            raise Untranslatable(f"`{kind}` is not one of the layers that are translated")
        item, notes = write(fields)
        item = explicit(item, reading.defaults, CAFFE)
        if len(bottoms) > 1:
            raise Untranslatable("it takes several tensors: an item takes one, and `@name` refers to another")
    except Untranslatable as reason:
        return Transcript(CAFFE, shown, "", begin, end, tuple(map(str, reason.args)), takes=takes, result=result)
    if label and not item.startswith("input ") and re.match(r"[A-Za-z]\w*$", label):
        item = f"{label}: {item}"
    return Transcript(CAFFE, shown, item, begin, end, notes, takes=takes, result=result)
