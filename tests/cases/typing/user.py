"""A program of a user, as mypy --strict reads it: tests/front/test_library.py holds that it has no errors, and that it runs."""

import archc
from archc import Change, Comparison, Diff, Entry, Explanation, Memory, Network, Report, Row, Summary


def largest(net: Network, top: int = 3) -> list[str]:
    summary: Summary = net.summary(sort="params", top=top)
    rows: list[Row] = list(summary)
    return [f"{row.name}: {row.params:,}" for row in rows]


def changed(first: Network, second: Network) -> dict[str, int]:
    found: Diff = first.diff(second, names=("one", "other"))
    changes: list[Change] = [change for change in found if change.kind == "added"]
    return {change.what: change.params for change in changes}


def sound(text: str) -> bool:
    report: Report = archc.check(text=text, mend=False)
    for diagnostic in report.diagnostics:
        print(diagnostic.code, diagnostic.message)
    return report.ok


def main() -> None:
    net = archc.loads("arch net(w=4)\ninput 3x8x8\nconv3-{w}; relu; FC-5\n", w=8)
    other = archc.loads("arch net(w=4)\ninput 3x8x8\nconv3-{w}; FC-5\n", settings={"w": 8})
    assert largest(net)
    assert changed(other, net) == {"relu": 0}
    assert sound("input 3x8x8\nrelu\n") and not sound("input 3x8x8\nrelo\n")
    memory: Memory = net.memory(batch=2)
    total: int = memory.training
    table: Comparison = archc.table([net, ("other", other)])
    entries: list[Entry] = list(table)
    explained: Explanation = net.explain("conv1")
    topics = [topic for step in explained for topic in step.topics]
    shape: tuple[object, ...] = net["conv1"]
    text: str = archc.format("input 3x8x8\nRELU\n") + net.expand() + str(table)
    assert total and entries and topics and shape and text and isinstance(net.params, int)
    try:
        net.draw("bmp")
    except archc.UsageError as error:
        known: tuple[str, ...] = error.known
        print(error, known)
    try:
        net["nothing"]
    except KeyError as missing:
        print(missing)
    broken: list[archc.Diagnostic] = archc.check(text="relo").diagnostics
    assert broken


if __name__ == "__main__":
    main()
