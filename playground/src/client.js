// The compiler as the page sees it: one request at a time, the latest of each kind wins, and one that takes too long is stopped.
const LIMIT = 10_000; // milliseconds for a request, after which the worker is stopped
const PATIENCE = 4_000; // milliseconds for one that a later edit waits for
const FIRST = 3; // times as long for the first request of each kind, which imports modules
const IMPORTS = new Set(["warm", "hover", "complete"]); // these import so much that nothing hurries the first
const START_LIMIT = 120_000; // milliseconds for each step of loading Python

export class Stopped extends Error {}
export class Superseded extends Error {}

export class Compiler {
  #worker = null;
  #ready = false;
  #waiting = new Map(); // by kind: the latest request
  #running = null;
  #number = 0;
  #timer = 0;
  #known = new Set(); // what this worker has answered already, whose modules are imported
  #heavy = null; // the text whose check was stopped: nothing else is asked about it
  #address = "worker.js"; // with `?fresh`, once a worker has failed: Python then starts from its files, and not from its image

  /** `onProgress(step, share)` is told what is loading; `onStop(what)` that something was stopped, and why. */
  constructor(onProgress, onStop) {
    this.onProgress = onProgress;
    this.onStop = onStop;
    this.limit = LIMIT;
    this.took = 0; // milliseconds of the last check
    this.#start();
  }

  /** Ask for `op`; a request of the same kind that has not begun is given up. */
  ask(op, args = {}, kind = op) {
    return new Promise((resolve, reject) => {
      if (op !== "check" && args.text !== undefined && args.text === this.#heavy) return reject(new Stopped("the check of this text was stopped"));
      this.#waiting.get(kind)?.reject(new Superseded(kind));
      this.#waiting.delete(kind);
      this.#waiting.set(kind, { id: ++this.#number, op, args, resolve, reject });
      if (this.#worker === null) this.#start(); // the one before has failed
      else this.#next();
    });
  }

  #start() {
    this.#ready = false;
    this.#known.clear();
    const worker = (this.#worker = new Worker(this.#address, { type: "module" }));
    const current = (take) => (event) => worker === this.#worker && take(event); // what one that was stopped has sent counts no more
    worker.onmessage = current(({ data }) => this.#receive(data));
    worker.onerror = current((event) => this.#failed(event.message || "the compiler cannot be loaded"));
    this.#watch(START_LIMIT, "loading Python takes too long");
  }

  #imports(op) {
    return IMPORTS.has(op) && !this.#known.has(op) && !this.#known.has("warm");
  }

  #limit(op) {
    return this.#imports(op) ? START_LIMIT : this.limit * (this.#known.has(op) ? 1 : FIRST);
  }

  #watch(limit, why) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.stop(why), limit);
  }

  /** Stop what runs and start anew. */
  stop(why) {
    clearTimeout(this.#timer);
    this.#worker?.terminate();
    const running = this.#running;
    this.#running = null;
    if (running?.op === "check") this.#heavy = running.args.text;
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

  /** Give up a worker that cannot answer, with all that waits for it; the next request starts another. */
  #failed(why) {
    clearTimeout(this.#timer);
    this.#worker.terminate();
    this.#worker = null;
    this.#ready = false;
    this.#address = "worker.js?fresh";
    const given = [this.#running, ...this.#waiting.values()];
    this.#running = null;
    this.#waiting.clear();
    for (const held of given) held?.reject(new Stopped(why));
    this.onProgress(`failed: ${why}`, 1);
  }

  #receive(data) {
    if (data.step !== undefined) {
      this.onProgress(data.step, data.done);
      if (data.done === 1) {
        this.#ready = true;
        clearTimeout(this.#timer);
        this.#next();
      } else this.#watch(START_LIMIT, "loading Python takes too long");
      return;
    }
    if (data.failed !== undefined) return this.#failed(data.failed);
    if (data.id !== this.#running?.id) return;
    const { op, args, resolve, reject, since } = this.#running;
    this.#known.add(op);
    if (op === "check") this.took = performance.now() - since;
    if (op === "check" && args.text === this.#heavy) this.#heavy = null;
    this.#running = null;
    clearTimeout(this.#timer);
    if (data.dead) this.#failed(data.failure);
    if (data.failure !== undefined) reject(new Error(data.failure));
    else resolve(JSON.parse(data.answer));
    this.#next();
  }

  #next() {
    if (!this.#ready || this.#waiting.size === 0) return;
    if (this.#running !== null) {
      if (this.#imports(this.#running.op)) return;
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
    this.#worker.postMessage({ id: held.id, form: held.args.form, request: JSON.stringify({ op: held.op, ...held.args }) });
    this.#watch(this.#limit(held.op), `this text takes more than ${this.#limit(held.op) / 1000} seconds`);
  }
}
