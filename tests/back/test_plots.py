"""Plots of networks: what is in their files, and where labels, points and keys are."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archc
from archc.compiler.analysis.family import Entry
from archc.compiler.analysis.receptive import Field
from archc.compiler.errors import UsageError
from archc.compiler.plots import figure as figures
from archc.compiler.plots.placing import Spot, places
from archc.compiler.plots.request import Axes
from archc.compiler.results.columns import Given, Look
from archc.compiler.results.plotted import drawing, short
from archc.compiler.tables import latex_text
from archc.tests.support.chromium import BROWSER, areas, opened_page, overlapping, within
from archc.tests.support.commands import archc as run

# ImageNet networks: millions of parameters, millions of MACs, top-1 accuracy of torchvision's weights IMAGENET1K_V1.
KNOWN = {
    "resnet18": (11.7, 1814, 69.76), "resnet34": (21.8, 3664, 73.31), "resnet50": (25.6, 4089, 76.13), "resnet101": (44.5, 7801, 77.37),
    "resnet152": (60.2, 11514, 78.31), "vgg11": (132.9, 7609, 69.02), "vgg13": (133.0, 11308, 69.93), "vgg16": (138.4, 15470, 71.59),
    "vgg19": (143.7, 19632, 72.38), "densenet121": (8.0, 2834, 74.43), "densenet161": (28.7, 7728, 77.14),
    "densenet169": (14.1, 3360, 75.60), "densenet201": (20.0, 4291, 76.90), "mobilenet_v2": (3.5, 301, 71.88),
    "efficientnet_b0": (5.3, 386, 77.69), "efficientnet_b1": (7.8, 687, 78.64), "efficientnet_b2": (9.1, 1088, 80.61),
    "efficientnet_b3": (12.2, 1826, 82.01), "efficientnet_b4": (19.3, 4394, 83.38), "efficientnet_b5": (30.4, 10266, 83.44),
    "efficientnet_b6": (43.0, 19068, 84.01), "efficientnet_b7": (66.3, 37746, 84.12),
}  # fmt: skip


def entries(names: Sequence[str] = tuple(KNOWN)) -> tuple[Entry, ...]:
    found = []
    for name in names:
        params, macs, top1 = KNOWN[name]
        family = "mobilenet_v2" if name == "mobilenet_v2" else re.sub(r"_?b?\d+$", "", name)
        own = {"top1": Given(str(top1), top1)}
        found.append(Entry(name, int(params * 1e6), macs * 10**6, 1, Field(()), 2**20, 2**21, family, own=own))
    return tuple(found)


FEW = ("resnet18", "resnet50", "vgg11", "efficientnet_b0", "mobilenet_v2")


def drawn(made: figures.Drawing) -> tuple[Any, list[str]]:
    """Return the figure of a plot, laid out, and the names without a label."""
    with figures.settings(made, False):
        figure, unlabelled = figures.draw(made)
        figure.draw_without_rendering()
        return figure, unlabelled


def boxes(figure: Any, kind: str) -> dict[str, Any]:
    """Return the boxes of the elements of a kind, in pixels, by name."""
    renderer = figure.canvas.get_renderer()
    artists = [artist for artist in figure.findobj() if str(artist.get_gid()).startswith(f"{kind}-")]
    return {artist.get_gid().removeprefix(f"{kind}-"): artist.get_window_extent(renderer) for artist in artists}


def meet(first: Any, second: Any) -> bool:
    return bool(first.x0 < second.x1 and second.x0 < first.x1 and first.y0 < second.y1 and second.y0 < first.y1)


def check_geometry(figure: Any) -> None:
    """No label meets another one or hides a point; labels are in the axes, keys and titles on the page, and keys hide nothing."""
    renderer = figure.canvas.get_renderer()
    labels, points, keys = boxes(figure, "label"), boxes(figure, "point"), boxes(figure, "key")
    frame, page = figure.axes[0].get_window_extent(renderer), figure.bbox
    assert labels and not [pair for pair in combinations(labels, 2) if meet(labels[pair[0]], labels[pair[1]])]
    assert not [(label, point) for label, box in labels.items() for point, other in points.items() if meet(box, other.padded(-1))]
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in labels.values())
    titles = [axis.label.get_window_extent(renderer) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) if axis.label.get_text()]
    ticks = [tick.get_window_extent(renderer) for axes in figure.axes for tick in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    inside = [box for box in (*keys.values(), *titles) if box.width]
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in inside)
    assert not any(meet(key, other) for key in keys.values() for other in (frame, *titles, *(tick for tick in ticks if tick.width)))


LOOKS = {
    "column": Axes(width="column", pareto=True),
    "dense column": Axes(width="column", y="params"),
    "areas": Axes(width="column", size="params", labels="short"),
    "slide": Axes(width="slide", size="params", pareto=True),
    "shades": Axes(width="column", color="params", x="params"),
    "page": Axes(log="none"),
}


def check_look(axes: Axes, names: Sequence[str]) -> None:
    made, missing = drawing(entries(names), Look(), axes)
    figure, unlabelled = drawn(made)
    assert not missing and not unlabelled
    assert set(boxes(figure, "label")) == set(boxes(figure, "point")) == set(names)
    check_geometry(figure)


@pytest.mark.parametrize("name", ["areas", "shades"])
def test_labels_are_clear_and_nothing_leaves_the_page(name: str) -> None:
    check_look(LOOKS[name], list(KNOWN)[::2])


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOKS)
def test_many_labels_are_clear(name: str) -> None:
    check_look(LOOKS[name], list(KNOWN))


def test_labels_without_room_are_left_out_and_said() -> None:
    one = entries(["resnet18"])[0]
    crowd = tuple(replace(one, name=f"a_network_with_a_long_name_{n}", params=one.params + n) for n in range(30))
    made, _ = drawing(crowd, Look(), Axes(width="40mm", height="35mm", y="params"))
    figure, unlabelled = drawn(made)
    assert unlabelled and set(boxes(figure, "label")) | set(unlabelled) == {entry.name for entry in crowd}


across, up = st.integers(0, 300).map(float), st.integers(0, 200).map(float)
spots = st.builds(Spot, across, up, st.sampled_from([2.0, 9.0]), st.sampled_from([15.0, 60.0]), st.just(8.0))


@settings(max_examples=20, deadline=None)
@given(st.lists(spots, max_size=9), st.lists(st.tuples(across, up, across, up), max_size=3))
def test_any_labels_are_clear(given_: list[Spot], lines: list[tuple[float, float, float, float]]) -> None:
    room = (0.0, 0.0, 300.0, 200.0)
    found = places(given_, room, lines)
    assert found == places(given_, room, lines) and len(found) == len(given_)
    there = [place.box for place in found if place is not None]
    assert not any(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for a, b in combinations(there, 2))
    for left, bottom, right, top in there:
        assert left >= 0 and bottom >= 0 and right <= 300 and top <= 200
        assert not any(
            left < s.x + s.radius and s.x - s.radius < right and bottom < s.y + s.radius and s.y - s.radius < top for s in given_
        )


def test_groups_differ_beyond_the_colors() -> None:
    """With sizes, too: further groups have other signs, of the same areas."""
    many = tuple(replace(entry, family=f"family{number}") for number, entry in enumerate(entries(list(KNOWN)[:10])))
    for axes in (Axes(labels="none"), Axes(labels="none", size="params")):
        figure, _ = drawn(drawing(many, Look(), axes)[0])
        key = next(legend for legend in figure.legends if legend.get_gid() == "key-upper")
        looks = {(handle.get_marker(), handle.get_color()) for handle in key.legend_handles}
        assert len(looks) == len(many)
    from matplotlib.transforms import Affine2D

    same = tuple(replace(entry, params=10**7) for entry in many)
    figure, _ = drawn(drawing(same, Look(), Axes(labels="none", size="params"))[0])
    areas = set()
    for artist in figure.findobj(lambda artist: str(artist.get_gid()).startswith("point-")):
        outline = artist.get_paths()[0].to_polygons(Affine2D(artist.get_transforms()[0]))[0]
        x, y = outline[:, 0], outline[:, 1]
        areas.add(round(abs(float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())) / 2))
    assert max(areas) - min(areas) <= 0.02 * max(areas)


def test_a_label_is_not_far_from_its_point() -> None:
    spot = Spot(100.0, 100.0, 2.0, 60.0, 8.0)
    wall = [
        Spot(x, y, 6.0, 999.0, 8.0) for x in range(0, 201, 12) for y in range(40, 161, 12) if abs(x - 100) + abs(y - 100) > 6
    ]  # none has room
    assert places([spot, *wall], (0.0, 0.0, 300.0, 200.0))[0] is None
    assert places([spot, wall[0]], (0.0, 0.0, 300.0, 200.0))[0] is not None


def test_the_front_is_of_those_that_no_other_one_excels() -> None:
    made, _ = drawing(entries(), Look(), Axes(pareto=True))
    assert [point.name for point in made.front] == ["mobilenet_v2", *(f"efficientnet_b{n}" for n in range(8))]
    lower, _ = drawing(entries(), Look(lower=("top1",)), Axes(pareto=True))
    assert {point.name for point in lower.front} == {"mobilenet_v2", "resnet18", "vgg11"}
    with pytest.raises(UsageError, match="pareto needs axes of which less or more is better, and layers is none"):
        drawing(entries(), Look(), Axes(x="layers", pareto=True))


def test_axes_units_and_names() -> None:
    made, _ = drawing(entries(), Look(rename={"top1": "top-1 (%)", "resnet": "ResNet"}), Axes())
    assert made.titles == {"x": "MACs (G)", "y": "top-1 (%)"} and made.log == "x"
    assert {point.group for point in made.points} >= {"ResNet", "vgg"}
    made, _ = drawing(entries(), Look(units={"macs": "M"}), Axes(y="params", log="y", color="none"))
    assert made.titles == {"x": "MACs (M)", "y": "parameters (M)"} and made.log == "y" and not made.points[0].line
    assert [short(*names) for names in (("efficientnet_b0", "efficientnet"), ("ResNet-18", "resnet"), ("vgg", "vgg"), ("net", ""))] == [
        "b0", "18", "vgg", "net",
    ]  # fmt: skip
    gone = tuple(replace(entry, own={}) if entry.name == "vgg11" else entry for entry in entries())
    assert drawing(gone, Look(), Axes())[1] == ["vgg11"]
    with pytest.raises(UsageError, match="no network has macs and params"):
        drawing([], Look(), Axes())


NIGHT = [pytest.param(suffix, marks=pytest.mark.slow) for suffix in (".pdf", ".png")]


@pytest.mark.parametrize("suffix", [".svg", ".tex", *NIGHT])
def test_a_plot_has_the_same_bytes_every_time(tmp_path: Path, suffix: str) -> None:
    table = archc.Comparison(entries(FEW))
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    for path in (first, second):
        table.plot(path, pareto=True, width="column")
    assert first.read_bytes() == second.read_bytes()


def test_what_is_in_an_svg(tmp_path: Path) -> None:
    archc.Comparison(entries(FEW)).shown(rename={"resnet18": "Res <18> & $x$"}).plot(tmp_path / "a.svg", size="params", pareto=True)
    ids = [element.get("id", "") for element in ElementTree.parse(tmp_path / "a.svg").iter()]
    named = {"Res_<18>_&_$x$", *FEW} - {"resnet18"}
    assert {each.removeprefix("point-") for each in ids if each.startswith("point-")} == named
    assert {each.removeprefix("label-") for each in ids if each.startswith("label-")} == named
    assert {"line-resnet", "front", "key-upper", "key-lower"} <= set(ids)


def test_what_is_in_a_picture_for_latex(tmp_path: Path) -> None:
    table = archc.Comparison(entries(FEW)).shown(rename={"resnet18": "50% of_a & b", "top1": "top-1 (%)"})
    table.plot(tmp_path / "a.tex")
    text = (tmp_path / "a.tex").read_text()
    assert text.startswith("%% A picture of the package pgf") and r"50\% of\_a \& b" in text and r"top-1 (\%)" in text
    assert text.count(r"\begin{pgfpicture}") == text.count(r"\end{pgfpicture}") == 1
    assert text.count(r"\begin{pgfscope}") == text.count(r"\end{pgfscope}") > 20
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


LATEX = shutil.which("pdflatex") or shutil.which("lualatex") or shutil.which("xelatex")


@pytest.mark.slow
@pytest.mark.skipif(LATEX is None, reason="there is no LaTeX here")
def test_latex_takes_tables_and_plots(tmp_path: Path) -> None:
    assert LATEX is not None
    table = archc.Comparison(entries(FEW)).shown(
        bold=True, group_by="family", caption="A table.", label="tab:a", rename={"vgg11": "50% a_b"}
    )
    table.plot(tmp_path / "plot.tex", size="params", pareto=True)
    layers = archc.layer_table([archc.load(Path(archc.__file__).parent / f"archs/{name}.arch") for name in ("resnet18", "googlenet")])
    body = "\n".join([table.latex(), layers.latex(), layers.shown(caption="Layers.").latex(), r"\input{plot.tex}"])
    packages = r"\usepackage{booktabs}\usepackage{pgf}"
    (tmp_path / "paper.tex").write_text(f"\\documentclass{{article}}{packages}\\begin{{document}}\n{body}\n\\end{{document}}\n")
    command = [LATEX, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.slow
@pytest.mark.skipif(LATEX is None, reason="there is no LaTeX here")
@pytest.mark.parametrize("width", ["column", "page", "slide"])
def test_labels_are_as_narrow_in_latex_as_they_were_measured(tmp_path: Path, width: str) -> None:
    """Else what is placed apart meets when LaTeX sets it. Small sizes of Computer Modern are wide."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    assert LATEX is not None
    made, _ = drawing(entries(), Look(), Axes(width=width))
    size = 0.88 * made.page.text
    rows = [f"\\settowidth{{\\w}}{{{latex_text(name)}}}\\typeout{{W \\the\\w}}" for name in KNOWN]
    head = f"\\documentclass{{article}}\\begin{{document}}\\newlength{{\\w}}\\fontsize{{{size}}}{{{size}}}\\selectfont\n"
    (tmp_path / "widths.tex").write_text(head + "\n".join(rows) + "\n\\end{document}\n")
    done = subprocess.run([LATEX, "-interaction=nonstopmode", "widths.tex"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    found = [float(each) / 72.27 for each in re.findall(r"^W ([\d.]+)pt", done.stdout, re.MULTILINE)]
    with figures.settings(made, True):
        measured = [text_to_path.get_text_width_height_descent(name, FontProperties(size=size), False)[0] / 72 for name in KNOWN]
    assert len(found) == len(KNOWN) and all(set_ <= 1.01 * there for set_, there in zip(found, measured, strict=True))


@pytest.mark.slow
@pytest.mark.skipif(LATEX is None, reason="there is no LaTeX here")
def test_table_1_of_resnet_fits_a_page(tmp_path: Path) -> None:
    """With five networks it is as wide as both columns, in small letters, as in the paper; LaTeX says that nothing leaves its line."""
    assert LATEX is not None
    names = ("resnet18_a", "resnet34_a", "resnet50_v1", "resnet101_v1", "resnet152_v1")
    nets = [archc.load(Path(archc.__file__).parent / f"archs/{name}.arch", settings={"classes": 10}) for name in names]
    short_names = {name: name.removeprefix("resnet") for name in names}
    layers = archc.layer_table(nets).shown(
        columns=("macs",), units={"macs": "e9"}, caption="A.", floats="table*", font="footnotesize", rename=short_names
    )
    whole = archc.table(nets).shown(group_by="family", caption="B.", label="tab:b", columns=("params",), floats="table*", font="small")
    assert "claims on params and macs are waived" in layers.latex() and r"\textsuperscript{a}" in whole.latex()
    packages = r"\usepackage[a4paper,margin=2cm]{geometry}\usepackage{booktabs}"
    text = f"\\documentclass[twocolumn]{{article}}{packages}\\begin{{document}}\n{layers.latex()}\n{whole.latex()}\n\\end{{document}}\n"
    (tmp_path / "paper.tex").write_text(text)
    command = [LATEX, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "Overfull" not in done.stdout, done.stdout[-2000:]


def test_styles_of_matplotlib(tmp_path: Path) -> None:
    style = tmp_path / "ours.mplstyle"
    style.write_text("axes.facecolor: 112233\n")
    table = archc.Comparison(entries(FEW))
    table.plot(tmp_path / "a.svg", styles=("grayscale", str(style)))
    assert "#112233" in (tmp_path / "a.svg").read_text()
    with pytest.raises(UsageError, match="style is a file or one of matplotlib's styles, not ggplt; did you mean `ggplot`"):
        table.plot(tmp_path / "b.svg", styles=("ggplt",))
    for line, problem in (
        ("nonsense.key: 3", "Bad key nonsense.key in file"),
        ("axes.linewidth: thick", "Bad value"),
        ("x,1", "Missing colon"),
    ):
        style.write_text(f"axes.facecolor: 112233\n{line}\n")
        with pytest.raises(UsageError, match=rf"style .*ours.mplstyle is no style of matplotlib: {problem} .*line 2"):
            table.plot(tmp_path / "b.svg", styles=(str(style),))
    assert not (tmp_path / "b.svg").exists()


def test_the_verb_draws_and_says_what_is_missing(tmp_path: Path) -> None:
    data = tmp_path / "acc.csv"
    data.write_text("network,top1\nresnet18,69.76\n")
    done = run("table", "archs/resnet18.arch", "archs/vgg11.arch", "--data", str(data), "-o", str(tmp_path / "a.svg"), "--width", "column")
    assert "not in the plot, without a value on its axes: vgg11\n" in done.stderr and "wrote" in done.stderr
    assert "point-resnet18" in (tmp_path / "a.svg").read_text()


def test_without_matplotlib_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError('No module named matplotlib', name='matplotlib')\n")
    program = "import sys; sys.path.insert(0, sys.argv.pop(1)); from archc.cli import main; main()"
    root = Path(archc.__file__).parent
    command = [sys.executable, "-c", program, str(tmp_path), "table", "archs/resnet18.arch", "-o", str(tmp_path / "a.svg")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and done.stderr == "archc: this needs matplotlib, which is not installed: pip install 'archc[plots]'\n"


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")
@pytest.mark.parametrize("name", ["column", "areas", "slide"])
def test_a_browser_shows_labels_apart(tmp_path: Path, name: str) -> None:
    axes = LOOKS[name]
    archc.Comparison(entries()).plot(tmp_path / "a.svg", **{"width": axes.width, "size": axes.size, "labels": axes.labels})
    with opened_page() as page:
        page.goto((tmp_path / "a.svg").as_uri())
        found = areas(page, "[id^=label-] > :last-child")
        (whole,) = areas(page, "svg")
    assert len(found) == len(KNOWN)
    assert not overlapping(found)
    assert within(whole, found)
