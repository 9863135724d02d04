"""What stops a network from being run or written. Free of torch, so that it can be told apart where torch is not installed."""

from __future__ import annotations

from collections.abc import Mapping

PARALLEL = "module."  # the prefix of the keys that nn.DataParallel and DistributedDataParallel save
COUNTER = "num_batches_tracked"  # the last part of keys that older files do not have

Size = tuple[int, ...]
Row = tuple[str, str, str, str]  # what is wrong, the key, the shape in the file, the shape in the network


class NoDevice(Exception):
    """The requested device does not exist."""


class NoMemory(Exception):
    """A network does not fit into the free memory."""


class Unreadable(Exception):
    """Weights cannot be read or cannot be used; the message says why."""


class CannotVerify(Exception):
    """A file that was written cannot be run, with the reason."""


class Unfit(Exception):
    """Weights do not fit the network. `rows` are the differences: (what, key, shape in the file, shape in the network)."""

    def __init__(self, source: str, rows: list[Row], parallel: bool = False) -> None:
        prefix = f"; its keys begin with `{PARALLEL}`, as DistributedDataParallel saves them" if parallel else ""
        super().__init__(f"{source} does not fit the network in {len(rows)} keys{prefix}")
        self.rows = rows


def check_keys(source: str, theirs: Mapping[str, Size], ours: Mapping[str, Size]) -> None:
    """Compare the keys and shapes of a file with those of the network. Raises Unfit, with all that differ."""
    rows: list[Row] = []
    for key, size in ours.items():
        if key not in theirs:
            if not key.endswith(COUNTER):
                rows.append(("missing", key, "", _text(size)))
        elif theirs[key] != size:
            rows.append(("misshapen", key, _text(theirs[key]), _text(size)))
    rows.extend(("unexpected", key, _text(size), "") for key, size in theirs.items() if key not in ours)
    if rows:
        raise Unfit(source, rows, parallel=bool(theirs) and all(key.startswith(PARALLEL) for key in theirs))


def other_kind(source: str, key: str, theirs: object, ours: object) -> Unreadable:
    """Return the error for a tensor of whole numbers where the network has none."""
    return Unreadable(f"{key} of {source} is {theirs}, and the network has {ours} there")


def not_finite(source: str, key: str, dtype: object, is_nan: bool) -> Unreadable:
    """Return the error for a tensor that contains NaN or an infinite value."""
    what = "NaN" if is_nan else "an infinite value"
    return Unreadable(f"{key} of {source} ({dtype}) contains {what}; --allow-nan loads it anyway")


BROKEN = "it is truncated or damaged; copy it again"
PLAIN = {  # part of a message of torch or safetensors -> the message of archc
    "failed finding central directory": BROKEN,
    "unexpected EOF": BROKEN,
    "Invalid argument": BROKEN,
    "Error while deserializing header": BROKEN,
    "file data.pkl": "it is an archive without weights, as torch.export writes; save the state_dict",
    "TorchScript": "it is a TorchScript program; save the state_dict of the module",
}


def unreadable(path: object, error: Exception) -> Unreadable:
    """Return the error for a file of weights that a library could not read, without the library's advice."""
    text = str(error)
    if isinstance(error, EOFError):
        text = "unexpected EOF"
    plain = next((plain for part, plain in PLAIN.items() if part in text), text.splitlines()[0] if text else type(error).__name__)
    return Unreadable(f"cannot read weights from {path}: {plain}")


def empty(path: object) -> Unreadable:
    """Return the error for an empty file of weights."""
    return Unreadable(f"cannot read weights from {path}: the file is empty")


def _text(size: Size) -> str:
    return "x".join(map(str, size)) or "scalar"
