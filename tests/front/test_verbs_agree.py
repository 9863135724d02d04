"""What has one name is one number, whichever verb tells it and in whatever form."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from archc.compiler.analysis.derive import derive
from archc.compiler.analysis.family import entry
from archc.compiler.analysis.memory import OpenSizes, usage
from archc.compiler.analysis.summary import Summary
from archc.compiler.driver import check
from archc.compiler.zoo import listed
from archc.tests.support import FILES
from archc.ui.show import families, summaries
from archc.ui.show.reports import summary as report_text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_verbs_agree(path: Path) -> None:
    report = check(path, mend=False)
    graph, facts, table = report.graph, report.facts(), Summary(report.graph)
    [row] = families.facts([entry(report.name, graph)])
    assert (row["name"], row["params"], row["macs"]) == (facts["name"], facts["params"], facts["macs"])
    assert (table.params, str(table.macs)) == (facts["params"], str(facts["macs"]))
    assert (listed(path).params, str(listed(path).macs)) == (facts["params"], str(facts["macs"]))
    assert f"parameters  {facts['params']:,}" in report_text(report)
    assert row["receptive_field"] == table.field.sizes
    try:
        needs = usage(graph)
        assert (row["peak"], row["saved"]) == (needs.peak, needs.saved)
    except OpenSizes:
        assert row["peak"] is row["saved"] is None

    total = summaries.totals(table, summaries.Style())
    [read] = csv.DictReader(io.StringIO(families.show([entry(report.name, graph)], "csv")))
    assert (read["parameters"], read["MACs"], read["field"]) == (str(row["params"]), str(row["macs"]), total[-1])
    shown = families.cells([entry(report.name, graph)])[0]
    assert (shown[1], shown[4]) == (total[3], total[-1])

    leaves = table.leaves()
    rows = summaries.facts(leaves)
    lines = list(csv.DictReader(io.StringIO(summaries.comma_separated(leaves, summaries.Style()))))
    for leaf, plain, line, cells in zip(leaves, rows, lines, summaries.cells(table, leaves, summaries.Style()), strict=True):
        assert (line["parameters"], line["MACs"]) == (str(plain["params"]), str(plain["macs"])) == (str(leaf.params), str(leaf.macs))
        assert line["field"] == cells[-1] == str(leaf.sees)
        assert plain["receptive_field"] == leaf.sees.sizes
    for leaf in leaves[:: max(len(leaves) // 8, 1)]:
        topics = dict(derive(graph, leaf.name, table.fields))
        assert f"{leaf.params:,}" in topics["parameters"][0] or not leaf.params
        assert f"{leaf.macs:,}" in topics["MACs"][0] if isinstance(leaf.macs, int) and leaf.macs else True
        field = " ".join(topics["field"])
        assert ("the whole input" in field) == ("inf" in str(leaf.sees))
        assert all(f"{size} pixels" in field for size in leaf.sees.sizes or () if size is not None)
