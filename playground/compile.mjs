// Byte-compile the Python files of the page with the Python that runs them: `node compile.mjs SOURCES.zip TARGET.zip`.
// The parser's tables are made here too, since a page would make them anew every time it is opened.
import { readFileSync, writeFileSync } from "node:fs";
import { loadPyodide } from "pyodide";

const [sources, target] = process.argv.slice(2);
const py = await loadPyodide();
py.unpackArchive(new Uint8Array(readFileSync(sources)), "zip", { extractDir: "/lib/packages" });
py.runPython(`
import compileall, os, pathlib, py_compile, sys, zipfile
root = pathlib.Path("/lib/packages")
sys.path.insert(0, "/lib/packages")
os.environ["XDG_CACHE_HOME"] = "/lib/packages/cache"
from archc.compiler.library import check
assert check(text="input 3x8x8\\nconv3-4\\n").ok
assert list(pathlib.Path("/lib/packages/cache").rglob("grammar.pickle")), "the parser has written no tables"
for folder in root.rglob("__pycache__"):
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
assert compileall.compile_dir(root, quiet=1, legacy=True, invalidation_mode=mode, stripdir="/lib/packages", prependdir="/archc")
with zipfile.ZipFile("/target.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
    for path in sorted(root.rglob("*")):
        read = "backends/torch/modules" in str(path)
        if path.is_file() and (path.suffix == ".py") == read:
            made.writestr(zipfile.ZipInfo(str(path.relative_to(root)), (2026, 1, 1, 0, 0, 0)), path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
`);
writeFileSync(target, py.FS.readFile("/target.zip"));
