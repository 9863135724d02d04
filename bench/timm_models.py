"""Read the networks of timm, each in a process with a limit of time and memory, and write what came of it where it is documented.

    python bench/timm_models.py                    all that are not in tests/timm.tsv yet
    python bench/timm_models.py --families         the smallest network of each of timm's modules
    python bench/timm_models.py --models 60 --seed 1
    python bench/timm_models.py --only NAME...     these, again
    python bench/timm_models.py --again refused    those with this result, again; with `--families` of the smallest ones alone
    python bench/timm_models.py --document         only write the section of docs/sources.md

Networks are built on the meta device. One counts as read where its text is accepted, its graph is that of the source, every stored tensor
has its operator, and the text states as many parameters; results are compared in tests/back/test_timm.py. Each row is appended as it
is known, so that what was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from archc.compiler.files import replacing

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "tests/timm.tsv", ROOT / "docs/sources.md"
BEGIN, END = "<!-- written by bench/timm_models.py -->\n", "<!-- end of what bench/timm_models.py writes -->\n"
SECONDS, GIB, EACH = 600, 4, 40  # for a network; for a process; networks that one process reads
READ, REFUSED, FAILED, STOPPED = "read", "refused", "failed", "stopped"


@dataclass(frozen=True)
class Row:
    """A network of timm: its module, its parameters, the size of its input, and what came of reading it; `status` is "" before."""

    name: str
    family: str
    parameters: int
    size: str
    status: str = ""
    operators: int = 0
    lines: int = 0
    seconds: float = 0.0
    reason: str = ""


def load(path: Path = RESULTS) -> dict[str, Row]:
    """Return the rows of a file by name; of several for a network the last one counts."""
    rows: dict[str, Row] = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:] if path.exists() else ():
        name, family, parameters, size, status, operators, lines, seconds, reason = line.split("\t")
        rows[name] = Row(name, family, int(parameters), size, status, int(operators), int(lines), float(seconds), reason)
    return rows


def line(row: Row) -> str:
    """Return a row as a line of the file."""
    return "\t".join(" ".join(str(value).split()) for value in astuple(row)) + "\n"


def save(rows: dict[str, Row], path: Path = RESULTS) -> None:
    """Write all rows, sorted, at once."""
    head = "\t".join(field.name for field in fields(Row)) + "\n"
    with replacing(path) as made:
        made.write_text(head + "".join(line(rows[name]) for name in sorted(rows)), encoding="utf-8")


# ---- processes


class Worker:
    """A process that reads networks one after another, started anew after some of them and after one that was stopped."""

    def __init__(self, seconds: float, gib: float) -> None:
        self.seconds, self.gib = seconds, gib
        self.process: subprocess.Popen[str] | None = None
        self.done = 0

    def ask(self, verb: str, name: str) -> dict[str, Any] | str:
        """Return what the process answers, or why it did not."""
        if self.process is None or self.done >= EACH:
            self.close()
            command = [sys.executable, __file__, "--worker", str(self.gib)]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.done = 0
        process = self.process
        assert process.stdin is not None and process.stdout is not None
        late = threading.Timer(self.seconds, process.kill)
        late.start()
        try:
            process.stdin.write(f"{verb} {name}\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            in_time = late.is_alive()
            late.cancel()
        self.done += 1
        if answer:
            found: dict[str, Any] = json.loads(answer)
            return found
        self.close()
        return f"it took more than {self.gib:g} GiB" if in_time else f"it took more than {self.seconds:g} s"

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def each(names: Sequence[str], workers: int, do: Callable[[Worker, str], None], seconds: float, gib: float) -> None:
    """Do something for each name, with a number of processes."""
    waiting: SimpleQueue[str] = SimpleQueue()
    for name in names:
        waiting.put(name)

    def work() -> None:
        worker = Worker(seconds, gib)
        try:
            while True:
                do(worker, waiting.get_nowait())
        except Empty:
            pass
        finally:
            worker.close()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def surveyed(rows: dict[str, Row], workers: int, seconds: float, gib: float, only: Sequence[str] = ()) -> dict[str, Row]:
    """Return the rows of all networks that timm lists, or of `only` some new ones; those that are new have no status."""
    worker = Worker(seconds, gib)
    listed = worker.ask("list", "all")
    worker.close()
    if isinstance(listed, str):
        raise SystemExit(f"timm cannot list its networks: {listed}")
    families: dict[str, str] = listed["families"]
    found = {name: rows[name] for name in families if name in rows}
    with Appending(found) as appending:

        def survey(worker: Worker, name: str) -> None:
            answer = worker.ask("survey", name)
            row = (
                Row(name, families[name], 0, "", STOPPED, reason=answer) if isinstance(answer, str) else Row(name, families[name], **answer)
            )
            appending.add(row)

        each([name for name in only or families if name in families and name not in found], workers, survey, seconds, gib)
    return found


class Appending:
    """Rows that are appended to the file one by one, and written sorted in the end."""

    def __init__(self, rows: dict[str, Row]) -> None:
        self.rows, self.lock = rows, threading.Lock()

    def __enter__(self) -> Appending:
        """Open the file, with its header if it is new."""
        save(self.rows)
        self.file = RESULTS.open("a", encoding="utf-8", buffering=1)
        return self

    def add(self, row: Row) -> None:
        """Append a row."""
        with self.lock:
            self.rows[row.name] = row
            self.file.write(line(row))

    def __exit__(self, *exception: object) -> None:
        """Write the file anew."""
        self.file.close()
        save(self.rows)


def read(rows: dict[str, Row], names: Sequence[str], workers: int, seconds: float, gib: float) -> None:
    """Read networks and keep what came of it in `rows` and in the file."""
    with Appending(rows) as appending:

        def one(worker: Worker, name: str) -> None:
            answer, row = worker.ask("read", name), rows[name]
            if isinstance(answer, str):
                row = replace(row, status=STOPPED, operators=0, lines=0, seconds=0.0, reason=answer)
            else:
                row = replace(row, **answer)
                if row.status == READ and (stated := int(row.reason)) != row.parameters:
                    row = replace(row, status=FAILED, reason=f"its text has {stated} parameters")
                elif row.status == READ:
                    row = replace(row, reason="")
            appending.add(row)
            print(f"{name}: {row.status} in {row.seconds:.1f} s {row.reason}", flush=True)

        each(names, workers, one, seconds, gib)


def answer_requests(gib: float) -> None:
    """Answer the requests of a `Worker` on stdin: a line of JSON for each."""
    import resource
    import time
    import traceback

    from archc.compiler.backends.torch.published import torchvision_models

    resource.setrlimit(resource.RLIMIT_DATA, (int(gib * 2**30),) * 2)
    out, sys.stdout = sys.stdout, sys.stderr
    torchvision_models()
    import timm
    import torch

    from archc.compiler.errors import UnreadableError
    from archc.compiler.frontends import CannotRead
    from archc.compiler.frontends.torch.sources import built
    from archc.compiler.library import loads
    from archc.compiler.reading import read_text

    torch.set_num_threads(1)

    def survey(name: str) -> dict[str, Any]:
        module: Any = built(lambda: timm.create_model(name))
        size = "x".join(map(str, module.pretrained_cfg["input_size"]))
        return {"parameters": sum(tensor.numel() for tensor in module.parameters()), "size": size}

    def try_reading(name: str) -> dict[str, Any]:
        none = {"operators": 0, "lines": 0}
        begin = time.perf_counter()
        try:
            made = read_text(f"timm:{name}")
            found = {"status": READ, "reason": str(loads(made.text).params), "operators": made.reading.nodes, "lines": made.reading.lines}
        except (CannotRead, UnreadableError) as refusal:
            found = {"status": REFUSED, "reason": str(refusal), **none}
        except MemoryError:
            found = {"status": STOPPED, "reason": f"it took more than {gib:g} GiB", **none}
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            found = {"status": FAILED, "reason": f"{type(error).__name__} in {place.name}: {error}"[:300], **none}
        return {**found, "seconds": round(time.perf_counter() - begin, 1)}

    def families(_: str) -> dict[str, Any]:
        return {"families": {name: module for module in timm.list_modules() for name in timm.list_models(module=module)}}

    verbs = {"list": families, "survey": survey, "read": try_reading}
    for request in sys.stdin:
        verb, name = request.split()
        out.write(json.dumps(verbs[verb](name)) + "\n")
        out.flush()


# ---- what came of it


def smallest(rows: Iterable[Row]) -> dict[str, Row]:
    """Return the smallest network of each family."""
    found: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (row.parameters, row.name)):
        found.setdefault(row.family, row)
    return dict(sorted(found.items()))


def sampled(rows: Iterable[Row], count: int, seed: int) -> list[Row]:
    """Return networks drawn with a seed: one of each family in turn, until there are as many as asked for."""
    draw = random.Random(seed)
    families: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.name):
        families.setdefault(row.family, []).append(row)
    for members in families.values():
        draw.shuffle(members)
    order, chosen = sorted(families), list[Row]()
    draw.shuffle(order)
    while len(chosen) < count and any(families.values()):
        chosen += [families[family].pop() for family in order if families[family]]
    return chosen[:count]


def short(reason: str) -> str:
    """Return a reason without the place, in which every network differs."""
    operator, colon, why = reason.partition(": ")
    if not colon or len(operator) > 120:
        return reason
    name = operator.split(" in ")[0].split(" (")[0]
    return f"`{name}`: {why}" if name.replace("_", "").isalnum() else why


def section(rows: dict[str, Row]) -> str:
    """Return the section of the documentation on timm, in Markdown."""
    tried = {name: row for name, row in rows.items() if row.status}
    firsts = smallest(rows.values())
    done = {family: row for family, row in firsts.items() if row.status}
    good = [family for family, row in done.items() if row.status == READ]
    models = sum(row.status == READ for row in tried.values())
    inside = sum(row.family in good for row in rows.values())
    listed = ", ".join(good)
    refused = [f"| {family} | {short(row.reason)} |" for family, row in done.items() if row.status != READ]
    exceptions = Counter((row.family, short(row.reason)) for row in tried.values() if row.family in good and row.status != READ)
    lines = [
        f"timm has {len(rows):,} networks in {len(firsts)} modules, its families. Of the smallest network of each family {len(good)} of"
        f" {len(done)} are read ({len(good) / max(len(done), 1):.0%}); {inside:,} of {len(rows):,} networks are in these families"
        f" ({inside / max(len(rows), 1):.0%}). Of all networks, {len(tried):,} were tried, and {models:,} are read"
        f" ({models / max(len(tried), 1):.0%}). `make timm` makes these figures again.",
        "",
        "| families whose smallest network is read |",
        "|--|",
        f"| {listed} |",
        "",
        "| families that are refused | why, of the smallest network |",
        "|--|--|",
        *refused,
    ]
    if exceptions:
        lines += ["", "| of a family that is read | networks that are refused | why |", "|--|--|--|"]
        lines += [f"| {family} | {count} | {why} |" for (family, why), count in sorted(exceptions.items())]
    return "\n".join(lines) + "\n"


def document(rows: dict[str, Row], page: str) -> str:
    """Return a page with the section written anew."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{PAGE.name} has no place for the section")
    return before + BEGIN + "\n" + section(rows) + "\n" + END + after


def main(arguments: Sequence[str] | None = None) -> None:
    """Read what was asked for, and write the section."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--families", action="store_true", help="only the smallest network of each family")
    parser.add_argument("--models", type=int, metavar="N", help="only as many, drawn with --seed, spread over families")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these networks, again")
    parser.add_argument("--again", choices=[READ, REFUSED, FAILED, STOPPED, "all"], help="those with this result, too")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for one network")
    parser.add_argument("--gib", type=float, default=GIB, help="memory of a process")
    parser.add_argument("--document", action="store_true", help="only write the section of the documentation")
    parser.add_argument("--worker", type=float, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.worker:
        answer_requests(asked.worker)
        return
    rows = load()
    if not asked.document:
        rows = surveyed(rows, asked.workers, asked.seconds, asked.gib, asked.only or ())
        names = [row.name for row in smallest(rows.values()).values()] if asked.families else sorted(rows)
        if asked.models:
            names = [row.name for row in sampled((rows[name] for name in names), asked.models, asked.seed)]
        if asked.only:
            names = asked.only
            if unknown := [name for name in names if name not in rows]:
                parser.error(f"timm has no network {', '.join(unknown)}")
        else:
            names = [name for name in names if not rows[name].status or asked.again in (rows[name].status, "all")]
        read(rows, names, asked.workers, asked.seconds, asked.gib)
    text = PAGE.read_text(encoding="utf-8")
    with replacing(PAGE) as made:
        made.write_text(document(rows, text), encoding="utf-8")
    print(section(rows))


if __name__ == "__main__":
    main()
