"""Build the site into a folder of static files: `python docs/site/build.py [FOLDER]`. It needs Sphinx, furo and myst-parser.

The documents of docs/ are staged with the links of the site, next to pages that are generated from the code; Sphinx makes HTML of them, and
every link between pages is looked up. The playground is part of the site where `make playground` has built it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import networks
from contents import BELOW, CONTENTS, COURSES, ELSEWHERE, TITLES
from links import broken, rewritten

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCS = ROOT / "docs"
PLAYGROUND = ROOT / "playground/dist"
# Around the picture of the front page: a script puts the playground in its place.
LIVE = '<div class="live" data-live="playground/#example=lenet5_modern&amp;embed=edit">'
NEEDED = ("sphinx", "furo", "myst_parser")


class CannotBuild(Exception):
    """Something that the site consists of is missing, or a page or link of it is wrong."""


def main() -> int:
    """Build into the folder that is named, or into `build/site`."""
    target = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "build/site"
    try:
        build(target)
    except CannotBuild as error:
        print(f"the site was not built: {error}", file=sys.stderr)
        return 1
    pages = sum(1 for _ in target.rglob("*.html"))
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    live = "with the playground" if (target / "playground").is_dir() else "without the playground, which `make playground` builds"
    print(f"built {target}: {pages} pages, {size / 2**20:.1f} MiB, {live}")
    return 0


def build(target: Path) -> None:
    """Build into a folder, which is replaced as a whole when everything is made. Raises CannotBuild."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise CannotBuild(f"{', '.join(missing)} not installed: pip install 'archc[docs]'")
    live = (PLAYGROUND / "index.html").is_file()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".site-") as made:
        staged, site = Path(made) / "pages", Path(made) / "site"
        stage(staged, live)
        sphinx = [sys.executable, "-m", "sphinx", "-b", "html", "-c", HERE, "-W", "--keep-going", "-q", "-j", "auto"]
        ran = subprocess.run([*sphinx, "-D", f"playground={int(live)}", "-d", Path(made) / "trees", staged, site], check=False)
        if ran.returncode != 0:
            raise CannotBuild(f"Sphinx has warnings, or failed: it ended with {ran.returncode}")
        if live:
            shutil.copytree(PLAYGROUND, site / "playground")
        if wrong := broken(site):
            raise CannotBuild("links that lead nowhere:\n" + "\n".join(wrong))
        if target.exists():
            shutil.rmtree(target)
        site.rename(target)


def documents() -> dict[str, str]:
    """Return the documents of the site: the file in the repository -> its page."""
    found = {f"docs/{path.relative_to(DOCS)}": f"{path.relative_to(DOCS).with_suffix('')}" for path in sorted(DOCS.rglob("*.md"))}
    return found | {file: page for page, file in ELSEWHERE.items()}


def stage(folder: Path, live: bool) -> None:
    """Write everything that Sphinx reads into a folder."""
    pages = documents()
    linked = pages | {f"archs/{name}.arch": f"networks/{name}" for name in networks.names()} | {"archs": "networks/index"}
    sources: set[str] = set()
    folder.mkdir()
    for file, page in pages.items():
        text = rewritten((ROOT / file).read_text(encoding="utf-8"), file, f"{page}.md", linked, sources)
        if page == "python":
            text = text.partition("\n## Functions\n")[0] + interface()
        place = folder / f"{page}.md"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text + toctree(below(page)), encoding="utf-8")
    for path in DOCS.rglob("*.svg"):
        place = folder / path.relative_to(DOCS)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    sources.update(networks.write(folder / "networks"))
    (folder / "_sources.json").write_text(json.dumps(sorted(sources)), encoding="utf-8")
    front = (folder / "index.md").read_text(encoding="utf-8")
    if live:
        front = re.sub(r"^!\[.*\]\(.*\)$", lambda picture: f"{LIVE}\n\n{picture[0]}\n\n</div>", front, count=1, flags=re.M)
    (folder / "index.md").write_text(front + "".join(toctree(rows, caption) for caption, rows in CONTENTS.items()), encoding="utf-8")


def below(page: str) -> tuple[str, ...]:
    """Return the pages below one, as paths from the root of the site."""
    folder = page.removesuffix("/index")
    if folder in COURSES and page.endswith("/index"):
        return tuple(f"{folder}/{path.stem}" for path in sorted((DOCS / folder).glob("[0-9]*.md")))
    return BELOW.get(page, ())


def toctree(pages: tuple[str, ...], caption: str = "") -> str:
    """Return the directive that puts pages into the sidebar, or "" for none."""
    options = [":hidden:", *([f":caption: {caption}"] if caption else [":maxdepth: 1"])]
    return (
        "\n```{toctree}\n"
        + "\n".join([*options, "", *(f"{TITLES[page]} </{page}>" if page in TITLES else f"/{page}" for page in pages)])
        + "\n```\n"
        if pages
        else ""
    )


def interface() -> str:
    """Return the sections of the Python interface, for autodoc: it reads the docstrings of all public names."""
    import archc

    values = {name: getattr(archc, name) for name in archc.__all__ if name != "__version__"}
    functions = [f".. autofunction:: archc.{name}" for name, value in values.items() if not isinstance(value, type)]
    classes = [
        f".. autoclass:: archc.{name}\n   :members:\n   :special-members: __getitem__"
        for name, value in values.items()
        if isinstance(value, type)
    ]
    sections = {"Functions": functions, "Types": classes}
    return "".join(f"\n## {title}\n\n```{{eval-rst}}\n" + "\n\n".join(rows) + "\n```\n" for title, rows in sections.items())


if __name__ == "__main__":
    sys.exit(main())
