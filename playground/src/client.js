// The compiler as the page sees it: one request at a time, the latest of each kind wins, and one that takes too long is stopped.
const LIMIT = 10_000; // milliseconds for a request, after which the worker is stopped
const PATIENCE = 4_000; // milliseconds for one that a later edit waits for
const IMPORTS = new Set(["warm", "hover", "complete"]); // these import modules when they are first asked for
const START_LIMIT = 120_000; // milliseconds for loading Python

export class Stopped extends Error {}
export class Superseded extends Error {}

export class Compiler {
  #worker = null;
  #ready = false;
  #waiting = new Map(); // by kind: the latest request
  #running = null;
  #number = 0;
  #timer = 0;
  #fresh = true; // whether the worker has answered nothing yet: the first answer loads the parser

  /** `onProgress(step, share)` is told what is loading; `onStop(what)` that something was stopped, and why. */
  constructor(onProgress, onStop) {
    this.onProgress = onProgress;
    this.onStop = onStop;
    this.limit = LIMIT;
    this.#start();
  }

  /** Ask for `op`; a request of the same kind that has not begun is given up. */
  ask(op, args = {}, kind = op) {
    return new Promise((resolve, reject) => {
      this.#waiting.get(kind)?.reject(new Superseded(kind));
      this.#waiting.delete(kind);
      this.#waiting.set(kind, { id: ++this.#number, op, args, resolve, reject });
      this.#next();
    });
  }

  #start() {
    this.#ready = false;
    this.#fresh = true;
    this.#worker = new Worker("worker.js", { type: "module" });
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = (event) => this.#failed(event.message || "the compiler cannot be loaded");
    this.#watch(START_LIMIT, "loading Python takes too long");
  }

  #watch(limit, why) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.stop(why), limit);
  }

  /** Stop what runs and start anew. */
  stop(why) {
    clearTimeout(this.#timer);
    this.#worker.terminate();
    const running = this.#running;
    this.#running = null;
    running?.reject(new Stopped(why));
    for (const [kind, held] of this.#waiting) {
      if (running && held.args.text === running.args.text) {
        held.reject(new Superseded(kind));
        this.#waiting.delete(kind);
      }
    }
    this.onStop(why);
    this.#start();
  }

  #failed(why) {
    clearTimeout(this.#timer);
    this.onProgress(`failed: ${why}`, 1);
  }

  #receive(data) {
    if (data.step !== undefined) {
      this.onProgress(data.step, data.done);
      if (data.done === 1) {
        this.#ready = true;
        clearTimeout(this.#timer);
        this.#next();
      }
      return;
    }
    if (data.failed !== undefined) return this.#failed(data.failed);
    if (data.id !== this.#running?.id) return;
    const { resolve, reject } = this.#running;
    this.#fresh = false;
    this.#running = null;
    clearTimeout(this.#timer);
    if (data.failure !== undefined) reject(new Error(data.failure));
    else resolve(JSON.parse(data.answer));
    this.#next();
  }

  #next() {
    if (!this.#ready || this.#waiting.size === 0) return;
    if (this.#running !== null) {
      if (IMPORTS.has(this.#running.op)) return;
      const left = PATIENCE - (performance.now() - this.#running.since);
      if (this.#waiting.has("check") && this.#running.args.text !== this.#waiting.get("check").args.text) {
        this.#watch(Math.max(left, 0), "the check of an earlier text took too long");
      }
      return;
    }
    const [kind, held] = this.#waiting.has("check") ? ["check", this.#waiting.get("check")] : this.#waiting.entries().next().value;
    this.#waiting.delete(kind);
    held.since = performance.now();
    this.#running = held;
    this.#worker.postMessage({ id: held.id, request: JSON.stringify({ op: held.op, ...held.args }) });
    this.#watch(IMPORTS.has(held.op) ? START_LIMIT : this.limit * (this.#fresh ? 3 : 1), `this text takes more than ${this.limit / 1000} seconds`);
  }
}
