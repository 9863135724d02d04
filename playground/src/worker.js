// Python in a worker: loads Pyodide and archc, then answers one request at a time.
import { Graphviz } from "@hpcc-js/wasm-graphviz";

const START = `
import os, sys
sys.path.insert(0, "/lib/packages")
os.environ["XDG_CACHE_HOME"] = "/lib/packages/cache"
from functools import lru_cache
import page
from archc.compiler.draw import layout
layout.use(lru_cache(256)(lambda dot, form, program: page.layout(dot, form, program).encode()))
from archc.ui.playground.session import Session
Session().answer
`;

const FONTS = "Helvetica,Arial,sans-serif"; // of all pictures
const SAMPLE = "conv7-64/2(pad=3, bias=no)";
const ARIAL = 183.6; // the width of the sample in Arial, bold, at 14 pixels, as Graphviz estimates it

/** Return the font whose widths Graphviz knows that is nearest to what this machine shows for ours, so that texts fit their boxes. */
function measured() {
  try {
    const pen = new OffscreenCanvas(1, 1).getContext("2d");
    pen.font = `bold 14px ${FONTS}`;
    return pen.measureText(SAMPLE).width > 1.1 * ARIAL ? "Verdana" : "Arial";
  } catch {
    return "Verdana";
  }
}

/** Lay out, with the widths of another font in place of ours. */
function laid(engine, font, dot, form, program) {
  const made = engine.layout(dot.replaceAll(`fontname="${FONTS}"`, `fontname=${font}`), form, program);
  return made
    .replaceAll(`fontname=${font}`, `fontname="${FONTS}"`)
    .replaceAll(`font-family="${font}"`, `font-family="${FONTS}"`)
    .replaceAll(`"fontname": "${font}"`, `"fontname": "${FONTS}"`);
}

const report = (step, done) => postMessage({ step, done });

async function started() {
  const archive = fetch("./python.zip").then((answer) => (answer.ok ? answer.arrayBuffer() : Promise.reject(new Error(`python.zip: ${answer.status}`))));
  report("Python", 0.1);
  const { loadPyodide } = await import("./pyodide/pyodide.mjs");
  const loading = loadPyodide({ indexURL: new URL("./pyodide/", self.location.href).href });
  const py = await loading;
  const graphviz = Graphviz.load(); // not before: both would wait for one processor
  report("the compiler", 0.5);
  py.unpackArchive(new Uint8Array(await archive), "zip", { extractDir: "/lib/packages" });
  report("Graphviz", 0.65);
  const engine = await graphviz;
  const font = measured();
  py.registerJsModule("page", { layout: (dot, form, program) => laid(engine, font, dot, form, program) });
  report("the compiler", 0.75);
  const answer = py.runPython(START);
  report("", 1);
  return answer;
}

const ready = started();
ready.catch((error) => postMessage({ failed: String(error) }));

onmessage = async ({ data: { id, request } }) => {
  try {
    const answer = await ready;
    postMessage({ id, answer: answer(request) });
  } catch (error) {
    postMessage({ id, failure: String(error.message ?? error), dead: error.name !== "PythonError" }); // any other leaves no Python
  }
};
