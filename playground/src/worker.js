// Python in a worker: loads Pyodide and archc, then answers one request at a time.
import { Graphviz } from "@hpcc-js/wasm-graphviz";
import { answers, extended, fresh, restored } from "./python.js";

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
const mark = (name) => performance.mark(`archc:${name}`);

async function python() {
  const runtime = new URL("./pyodide/", self.location.href).href;
  const { loadPyodide } = await import("./pyodide/pyodide.mjs");
  if (!new URLSearchParams(self.location.search).has("fresh")) {
    try {
      return await restored(runtime, loadPyodide);
    } catch (error) {
      console.warn(`Python starts from its files, since its image cannot be used: ${error}`);
    }
  }
  report("Python", 0.2);
  return fresh(runtime, loadPyodide);
}

async function started() {
  report("Python", 0.1);
  mark("begun");
  const graphviz = Graphviz.load();
  graphviz.then(() => mark("graphviz"));
  const py = await python();
  report("Graphviz", 0.8);
  const engine = await graphviz;
  const font = measured();
  py.registerJsModule("page", { layout: (dot, form, program) => laid(engine, font, dot, form, program) });
  const answer = answers(py);
  mark("ready");
  report("", 1);
  return { answer, py };
}

const ready = started();
ready.catch((error) => postMessage({ failed: String(error) }));

onmessage = async ({ data: { id, request, form } }) => {
  try {
    const { answer, py } = await ready;
    if (form === "onnx") await extended(py, form);
    mark("asked");
    const found = answer(request);
    mark("answered");
    postMessage({ id, answer: found });
  } catch (error) {
    postMessage({ id, failure: String(error.message ?? error), dead: error.name !== "PythonError" }); // any other leaves no Python
  }
};
