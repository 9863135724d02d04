"""What the site consists of: its chapters and pages, in order. A test holds this table against the files of docs/.

A page is a file of docs/ without its suffix. `overview` is README.md, `contributing` is CONTRIBUTING.md, and `networks/index` is generated.
"""

from __future__ import annotations

# Caption -> pages of the sidebar.
CONTENTS = {
    "Start": ("overview", "learn/index", "learn/ko/index", "playground"),
    "Reference": ("language", "operators", "errors", "networks/index", "python"),
    "Guides": ("guides/index",),
    "Background": ("papers", "arguments", "diffs", "gallery", "zoo", "benchmarks", "compiler", "decisions", "contributing", "site"),
}

# Page -> the pages below it.
BELOW = {
    "guides/index": (
        "guides/pytorch", "guides/keras", "guides/caffe", "sources", "reading",
        "guides/weights", "tables", "measuring", "training", "guides/sweeps", "source", "onnx", "pictures", "teams", "editors",
    ),
}  # fmt: skip

# Pages of the site that are no files of docs/, and the files that they are made from.
ELSEWHERE = {"overview": "README.md", "contributing": "CONTRIBUTING.md"}

# Pages whose name in the sidebar is not their heading.
TITLES = {"overview": "Getting started"}

# Pages that are generated when the site is built, and the folders whose chapters are all below their index.
GENERATED = ("networks/index",)
COURSES = ("learn", "learn/ko")
