// Python with archc: as an image of its memory, made when the page was built, or from its files where that cannot be restored.
import { fetched, unpack } from "./pack.js";

const mark = (name) => performance.mark(`archc:${name}`);
export const FOLDER = "/lib/packages"; // of archc and what it needs, in Python's file system
export const BEGIN = `
import os, sys
sys.path.insert(0, "${FOLDER}")
os.environ["XDG_CACHE_HOME"] = "${FOLDER}/cache"
from archc.ui.playground import start
`;
const PAGE = 65_536; // bytes, in which the memory of WebAssembly grows

/** Start Python from the image of its memory. */
export async function restored(runtime, loadPyodide) {
  const image = fetched("./python/image.pack");
  const rest = fetched("./python/rest.pack");
  rest.catch(() => {});
  const script = import(`${runtime}pyodide.asm.mjs`);
  const py = await loadPyodide({
    indexURL: runtime,
    _loadSnapshot: image,
    createPyodideModule: async (settings) => {
      const { length } = await image;
      mark("image fetched");
      const instantiate = settings.instantiateWasm;
      // An image needs as much memory as there was when it was made, and Pyodide does not ask for it.
      settings.instantiateWasm = (imports, done) =>
        instantiate(imports, (instance, module) => {
          const { memory } = instance.exports;
          memory.grow(Math.max(0, Math.ceil((length - memory.buffer.byteLength) / PAGE)));
          mark("instantiated");
          done(instance, module);
        });
      return (await script).default(settings);
    },
  });
  mark("restored");
  unpack(py.FS, await rest, FOLDER);
  mark("unpacked");
  py.runPython("import importlib; importlib.invalidate_caches()");
  return py;
}

/** Start Python from the files. */
export async function fresh(runtime, loadPyodide) {
  const packs = ["modules", "rest"].map((name) => fetched(`./python/${name}.pack`));
  for (const pack of packs) pack.catch(() => {});
  const py = await loadPyodide({ indexURL: runtime });
  for (const pack of packs) unpack(py.FS, await pack, FOLDER);
  py.runPython(BEGIN);
  return py;
}

const held = new Set();

/** Add the files of another pack, once. */
export async function extended(py, name) {
  if (held.has(name)) return;
  unpack(py.FS, await fetched(`./python/${name}.pack`), FOLDER);
  py.runPython("import importlib; importlib.invalidate_caches()");
  held.add(name);
}

/** Return what answers requests, as JSON. */
export const answers = (py) => py.runPython("start.begin()");
