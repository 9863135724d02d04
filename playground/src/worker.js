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

const report = (step, done) => postMessage({ step, done });

async function started() {
  const archive = fetch("./python.zip").then((answer) => (answer.ok ? answer.arrayBuffer() : Promise.reject(new Error(`python.zip: ${answer.status}`))));
  report("Python", 0.1);
  const { loadPyodide } = await import("./pyodide/pyodide.mjs");
  const loading = loadPyodide({ indexURL: new URL("./pyodide/", self.location.href).href });
  const graphviz = Graphviz.load();
  const py = await loading;
  report("the compiler", 0.5);
  py.unpackArchive(new Uint8Array(await archive), "zip", { extractDir: "/lib/packages" });
  report("Graphviz", 0.65);
  const engine = await graphviz;
  py.registerJsModule("page", { layout: (dot, form, program) => engine.layout(dot, form, program) });
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
    postMessage({ id, failure: String(error.message ?? error) });
  }
};
