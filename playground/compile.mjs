// Make the Python of the page: `node compile.mjs SOURCES.zip FOLDER`, with the Python that the page runs.
// It byte-compiles the files and makes the parser's tables; then it starts anew with these files, imports and rehearses, and keeps an image
// of the memory, from which the page starts. FOLDER gets `image.pack`, the image; `modules.pack`, the modules that it has imported already;
// and `rest.pack`, all other files.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { loadPyodide } from "pyodide";
import { packed, unpack } from "./src/pack.js";
import { BEGIN, FOLDER } from "./src/python.js";

const [sources, target] = process.argv.slice(2);
const settings = { env: { HOME: "/home/page", PYTHONHASHSEED: "0" }, _sysExecutable: "/usr/bin/python" }; // nothing of this machine

/** Byte-compile; return the files, `[path, bytes]`. */
async function compiled() {
  const py = await loadPyodide(settings);
  py.unpackArchive(new Uint8Array(readFileSync(sources)), "zip", { extractDir: FOLDER });
  const paths = py.runPython(`
import compileall, os, pathlib, py_compile, sys
root = pathlib.Path("${FOLDER}")
sys.path.insert(0, str(root))
os.environ["XDG_CACHE_HOME"] = str(root / "cache")
from archc.compiler.library import check
assert check(text="input 3x8x8\\nconv3-4\\n").ok
assert list((root / "cache").rglob("grammar.pickle")), "the parser has written no tables"
for folder in root.rglob("__pycache__"):
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
assert compileall.compile_dir(root, quiet=1, legacy=True, invalidation_mode=mode, stripdir=str(root), prependdir="/archc")
read = lambda path: "backends/torch/modules" in str(path)
[str(path.relative_to(root)) for path in sorted(root.rglob("*")) if path.is_file() and (path.suffix == ".py") == read(path)]
`);
  return paths.toJs().map((path) => [path, py.FS.readFile(`${FOLDER}/${path}`)]);
}

/** Start with the files, import and rehearse; return the image of the memory, and the paths of the modules in it. */
async function imaged(files) {
  const py = await loadPyodide({ ...settings, _makeSnapshot: true });
  unpack(py.FS, packed(files), FOLDER);
  py.runPython(BEGIN);
  const imported = py.runPython(`
import gc, importlib, importlib.metadata, zipfile
start.rehearse()
here = "${FOLDER}/"
names = sorted(module.__file__.removeprefix(here) for module in list(sys.modules.values()) if (getattr(module, "__file__", None) or "").startswith(here))
# Finders keep archives open, and their files are not there when the image is restored.
importlib.metadata.MetadataPathFinder.invalidate_caches()
importlib.invalidate_caches()
gc.collect()
kept = [each.filename for each in gc.get_objects() if isinstance(each, zipfile.ZipFile) and each.fp is not None]
assert not kept, f"the image has open archives: {kept}"
names
`);
  const names = new Set(imported.toJs());
  imported.destroy();
  py.runPython("del names, here, kept; gc.collect()");
  const image = py.makeMemorySnapshot();
  if (Buffer.from(image.buffer).includes(process.cwd())) throw new Error(`the image names ${process.cwd()}`);
  return { image, names };
}

const all = await compiled();
const onnx = ([path]) => /^(onnx|google)\//.test(path);
const files = all.filter((file) => !onnx(file));
const { image, names } = await imaged(files);
mkdirSync(target, { recursive: true });
const write = (name, bytes) => writeFileSync(join(target, `${name}.pack`), gzipSync(bytes, { level: 9 }));
write("image", image);
write("modules", packed(files.filter(([path]) => names.has(path))));
write("onnx", packed(all.filter(onnx)));
write("rest", packed(files.filter(([path]) => !names.has(path))));
console.log(`${names.size} of ${files.length} files are in the image`);
