"""What has one name is one number, whichever verb tells it and in whatever form."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from archc.compiler.analysis.derive import derive
from archc.compiler.analysis.memory import OpenSizes, usage
from archc.compiler.analysis.receptive import receptive_fields
from archc.compiler.driver import check
from archc.compiler.library import table as compared
from archc.compiler.network import Network
from archc.compiler.zoo import listed
from archc.tests.support import FILES


@pytest.mark.thorough
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_verbs_agree(path: Path) -> None:
    report = check(path, mend=False)
    net = Network(report)
    graph, facts, table = net.graph, net.facts(), net.summary(flat=True)
    compared_here = compared([net])
    [row] = compared_here.facts()
    assert (row["name"], row["params"], row["macs"]) == (facts["name"], facts["params"], facts["macs"])
    assert (table.params, str(table.macs)) == (facts["params"], str(facts["macs"]))
    assert (listed(path).params, str(listed(path).macs)) == (facts["params"], str(facts["macs"]))
    assert f"parameters  {facts['params']:,}" in str(report)
    assert row["receptive_field"] == table.receptive_field.sizes
    try:
        needs = usage(graph)
        assert (row["peak"], row["saved"]) == (needs.peak, needs.saved)
    except OpenSizes:
        assert row["peak"] is row["saved"] is None

    total = table.totals()
    [read] = csv.DictReader(io.StringIO(compared_here.csv()))
    assert (read["parameters"], read["MACs"], read["field"]) == (str(row["params"]), str(row["macs"]), total[-1])
    shown = compared_here.cells()[0]
    assert (shown[1], shown[4]) == (total[3], total[-1])

    leaves = table.rows
    rows = table.facts()["rows"]
    lines = list(csv.DictReader(io.StringIO(table.csv())))
    for leaf, plain, line, cells in zip(leaves, rows, lines, table.cells(), strict=True):
        assert (line["parameters"], line["MACs"]) == (str(plain["params"]), str(plain["macs"])) == (str(leaf.params), str(leaf.macs))
        assert line["field"] == cells[-1] == str(leaf.receptive_field)
        assert plain["receptive_field"] == leaf.receptive_field.sizes
    fields = receptive_fields(graph)
    for leaf in leaves[:: max(len(leaves) // 8, 1)]:
        topics = dict(derive(graph, leaf.name, fields))
        assert f"{leaf.params:,}" in topics["parameters"][0] or not leaf.params
        assert f"{leaf.macs:,}" in topics["MACs"][0] if isinstance(leaf.macs, int) and leaf.macs else True
        field = " ".join(topics["field"])
        assert ("the whole input" in field) == ("inf" in str(leaf.receptive_field))
        assert all(f"{size} pixels" in field for size in leaf.receptive_field.sizes or () if size is not None)
