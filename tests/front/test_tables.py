"""Tables of networks: columns, units, digits, order, groups, the best in bold, footnotes, and columns of a user's own."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

import archc
from archc.compiler.errors import UsageError
from archc.compiler.tables import booktabs, latex_text
from archc.tests.support import ROOT
from archc.tests.support.commands import archc as run
from archc.tests.support.commands import facts

NAMES = ("resnet18", "resnet34", "vgg11", "squeezenet1_1")
TOP1 = "network,top1,error,venue\nresnet34,73.31,26.69,CVPR\nresnet18,69.76,30.24,CVPR\nvgg11,69.02,30.98,ICLR\n"


@pytest.fixture(scope="module")
def table() -> archc.Comparison:
    return archc.table(archc.load(ROOT / f"archs/{name}.arch") for name in NAMES)


def test_columns_units_and_digits(table: archc.Comparison) -> None:
    shown = table.shown(columns=("macs", "params", "inference"), units={"params": "M", "macs": "G", "inference": "MiB"}, digits={"macs": 2})
    lines = [line.split() for line in shown.text().splitlines()]
    assert lines[0] == ["network", "MACs", "(G)", "parameters", "(M)", "inference", "(MiB)"]
    assert lines[2] == ["resnet18", "1.81", "11.7", "6.1"]
    assert shown.csv().splitlines()[:2] == ["network,MACs (G),parameters (M),inference (MiB)", "resnet18,1.81,11.7,6.1"]
    assert shown.shown(units={"macs": "e9"}).cells()[0][1] == "1.81×10⁹"
    assert table.csv().splitlines()[1].startswith("resnet18,11689512,1814073344,18,435,")
    assert shown.shown(rename={"params": "#Params", "resnet18": "ResNet-18"}).cells()[0][0] == "ResNet-18"


def test_order_and_groups(table: archc.Comparison) -> None:
    assert [row[0] for row in table.shown(sort="params").cells()] == ["squeezenet1_1", "resnet18", "resnet34", "vgg11"]
    assert [row[0] for row in table.shown(sort="-name").cells()] == ["vgg11", "squeezenet1_1", "resnet34", "resnet18"]
    grouped = table.shown(sort="-params", group_by="family", columns=("params",))
    assert [row[:2] for row in grouped.cells()] == [
        ["vgg", "vgg11"],
        ["resnet", "resnet34"],
        ["", "resnet18"],
        ["squeezenet", "squeezenet1_1"],
    ]
    assert [row["family"] for row in csv.DictReader(io.StringIO(grouped.csv()))] == ["vgg", "resnet", "resnet", "squeezenet"]
    assert grouped.latex().count(r"\midrule") == 3
    assert [entry["name"] for entry in grouped.facts()] == ["vgg11", "resnet34", "resnet18", "squeezenet1_1"]


def test_the_best_is_bold_as_it_is_written(table: archc.Comparison, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(TOP1)
    own = table.with_data(tmp_path / "own.csv")
    shown = own.shown(
        bold=True, lower=("error",), columns=("params", "layers", "top1", "error"), units={"params": "M"}, digits={"params": 0}
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown.markdown().splitlines()[2:]]
    assert [row[1] for row in rows] == ["12", "22", "133", "**1**"]
    assert [row[3] for row in rows] == ["69.76", "**73.31**", "69.02", ""] and [row[4] for row in rows][1] == "**26.69**"
    assert not any("**" in row[2] for row in rows)  # no number of layers is better than another
    assert r"\textbf{73.31}" in shown.latex() and "**" not in shown.text()
    tied = shown.shown(columns=("error",), digits=-0, lower=("error",))
    assert [row[1].text for row in tied._rows(lambda name, mark: name) if row[1].best] == ["27"]


def test_own_columns(table: archc.Comparison, tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(TOP1 + '\n"squeezenet1_1",58.2,,\n')
    own = table.with_data(path)
    assert own.facts()[0]["own"] == {"top1": 69.76, "error": 30.24, "venue": "CVPR"}
    assert [row[-3:] for row in own.cells()][-1] == ["58.2", "", ""]
    assert own.shown(sort="-top1").facts()[0]["name"] == "resnet34" and own.shown(sort="error").facts()[-1]["name"] == "squeezenet1_1"
    assert own.shown(group_by="venue").cells()[0][:2] == ["CVPR", "resnet18"]
    path.write_text("name,family\nresnet18,ours\n")
    assert [entry.family for entry in table.with_data(path)] == ["ours", "resnet", "vgg", "squeezenet"]


WRONG = {
    "network,top1\nresnet18,1\nresnet43,2\n": "csv:3: there is no network resnet43 in the table; did you mean `resnet34` or `resnet18`?",
    "network,top1\nresnet18,1\nresnet18,2\n": "own.csv:3: there is a row of resnet18 above",
    "network,top1\nresnet18,1,2\n": "own.csv:2: the row has 3 cells, and the head 2",
    "network,top1,top1\nresnet18,1,2\n": "own.csv:1: two columns have the head top1",
    "network,,top1\nresnet18,1,2\n": "own.csv:1: a column has no head",
    "network,params\nresnet18,1\n": "own.csv:1: params is a column that archc computes; give yours another head",
    "network,top1\n": "own.csv has no rows below a head",
    'network,top1\nresnet18,"1': "own.csv:2: this is no CSV: unexpected end of data",
}


@pytest.mark.parametrize("text", WRONG)
def test_data_that_does_not_fit_is_refused_with_its_place(table: archc.Comparison, tmp_path: Path, text: str) -> None:
    (tmp_path / "own.csv").write_text(text)
    with pytest.raises(UsageError) as refused:
        table.with_data(tmp_path / "own.csv")
    assert str(refused.value).endswith(WRONG[text])


def test_waived_claims_are_footnotes() -> None:
    args = ["table", "archs/resnet18.arch", "archs/vgg11.arch", "--set", "classes=10"]
    shown = run(*args).stdout
    assert "resnet18 classes=10 [a]" in shown and "vgg11 classes=10 [a]" in shown
    assert "\n[a] Settings or inputs are not those of the file, whose claims on params and macs are waived.\n" in shown
    assert shown.count("[a]") == 3 and "[b]" not in shown
    assert (
        "[a] Settings or inputs are not those of the file, whose claims on shapes"
        in run("table", "archs/unet.arch", "--input", "1x476x476").stdout
    )
    assert r"resnet18 classes=10\textsuperscript{a} &" in run(*args, "--latex").stdout
    assert "resnet18 classes=10<sup>a</sup>" in run(*args, "--md").stdout
    assert facts(*args)[0]["waived"] == ["expect params == 11_689_512", "expect macs == 1_814_073_344"]
    assert "[a]" not in run("table", "archs/resnet18.arch").stdout


def test_the_verb_takes_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("network,top1\nresnet18,69.76\n")
    options = ["--units", "params=M,macs=G", "--digits", "2", "--columns", "params,macs,top1", "--sort", "-params", "--bold"]
    files = ["archs/resnet18.arch", "archs/vgg11.arch"]
    done = run("table", *files, *options, "--data", str(tmp_path / "own.csv"), "--rename", "top1=top-1", "--latex", "--label", "tab:x")
    assert "network & parameters (M) & MACs (G) & top-1 \\\\\n\\midrule\nvgg11 & 132.86 & 7.61 &  \\\\\nresnet18 &" in done.stdout
    assert done.stdout.startswith("\\begin{table}\n\\centering\n\\label{tab:x}\n\\begin{tabular}{lrrr}\n")
    wide = run("table", *files, "--latex", "--caption", "A.", "--float", "table*", "--font", "small").stdout
    assert wide.startswith("\\begin{table*}\n\\centering\n\\caption{A.}\n\\smallskip\n\\small\\setlength") and wide.endswith(
        "\\end{table*}\n"
    )
    assert run("table", *files, "--latex", "--font", "tiny").stdout.startswith("\\begingroup\n\\tiny\\setlength")
    page = run("table", *files, *options, "--format", "html", "--data", str(tmp_path / "own.csv")).stdout
    assert page.startswith("<table>") and "<b>11.69</b>" in page and "132.86" in page


WRONG_OPTIONS = {
    "--columns prams": "--columns is params, macs, flops, layers, field, inference, backward or family, not prams; did you mean `params`?",
    "--units params=MiB": "--units of params is K, M, G, T, e3, e6 or e9, not MiB",
    "--float figure --latex": "--float is table, table* or sidewaystable, not figure",
    "--font huge --latex": "--font is small, footnotesize, scriptsize or tiny, not huge",
    "--font small": "--font is for --latex",
    "--layers --hide stages": "--hide is stage, output or notes, not stages; did you mean `stage`?",
    "--layers --rename conv3_64=x": "--rename names conv3_64, and there is no network, column, stage or layer of this name",
    "-o plot.gif": "a plot is .svg, .pdf, .png, .tex or .pgf, not plot.gif",
}


@pytest.mark.parametrize("options", WRONG_OPTIONS)
def test_what_is_not_there_is_refused(options: str) -> None:
    done = run("table", "archs/lenet5.arch", *options.split(), code=2)
    assert WRONG_OPTIONS[options] in done.stderr and not done.stdout


def test_text_in_latex_means_itself() -> None:
    assert latex_text(r"50% of a_b & {c} #1 $x^2~\d<e>") == (
        r"50\% of a\_b \& \{c\} \#1 \$x\textasciicircum{}2\textasciitilde{}\textbackslash{}d$<$e$>$"
    )
    assert latex_text("3×3, 1.8×10⁹") == r"3$\times$3, 1.8$\times10^{9}$"
    assert booktabs("l", [["a"]], [["b"], r"\midrule", ["c"]]) == (
        "\\begin{tabular}{l}\n\\toprule\na \\\\\n\\midrule\nb \\\\\n\\midrule\nc \\\\\n\\bottomrule\n\\end{tabular}\n"
    )
