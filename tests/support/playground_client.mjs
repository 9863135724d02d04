// Drives the page's side of the compiler with a worker and a clock that are made up; prints what became of every request, by scenario.
import { pathToFileURL } from "node:url";

let now = 0;
let numbers = 0;
const timers = new Map();
const tick = () => new Promise((resolve) => setImmediate(resolve));
globalThis.setTimeout = (call, wait) => (timers.set(++numbers, { at: now + wait, call }), numbers);
globalThis.clearTimeout = (number) => timers.delete(number);
Object.defineProperty(globalThis, "performance", { value: { now: () => now } });

/** Let some milliseconds pass. */
async function pass(wait) {
  const end = now + wait;
  for (;;) {
    const [number, due] = [...timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
    if (!due || due.at > end) break;
    now = due.at;
    timers.delete(number);
    due.call();
    await tick();
  }
  now = end;
  await tick();
}

const workers = [];

globalThis.Worker = class {
  constructor() {
    this.asked = [];
    workers.push(this);
  }
  postMessage({ id, request }) {
    this.asked.push({ id, ...JSON.parse(request) });
  }
  terminate() {
    this.ended = true;
  }
  send(data) {
    this.onmessage({ data });
  }
  loaded() {
    this.send({ step: "", done: 1 });
  }
  /** Answer what was asked last. */
  answer() {
    this.send({ id: this.asked.at(-1).id, answer: '"done"' });
  }
};

const { Compiler } = await import(pathToFileURL(process.argv[2]));
const last = () => workers.at(-1);

/** Make a compiler; requests note what became of them. */
function made() {
  workers.length = 0;
  timers.clear();
  const became = {};
  const compiler = new Compiler(() => {}, () => {});
  const ask = (name, op, text, kind = op) => {
    became[name] = "never settled";
    compiler.ask(op, { text }, kind).then((found) => (became[name] = found), (error) => (became[name] = error.constructor.name));
  };
  return { became, compiler, ask };
}

const scenarios = {
  async "a runaway file, and the next edit"({ ask }) {
    last().loaded();
    ask("heavy", "check", "heavy");
    await pass(31_000);
    ask("next", "check", "small");
    last().loaded();
    last().answer();
  },
  async "all else about a runaway file"({ ask }) {
    last().loaded();
    ask("heavy", "check", "heavy");
    ask("panel", "diff", "heavy", "panel");
    await pass(31_000);
    ask("hover", "hover", "heavy");
    last().loaded();
    ask("again", "check", "heavy");
    last().answer();
    await tick();
    ask("hover again", "hover", "heavy");
    last().answer();
  },
  async "words of a worker that was stopped"({ ask }) {
    last().loaded();
    ask("heavy", "check", "heavy");
    const [old] = workers;
    await pass(31_000);
    ask("next", "check", "small");
    old.send({ step: "", done: 1 });
    old.onerror({ message: "gone" });
    old.answer();
    await pass(40_000);
    last().loaded();
    last().answer();
  },
  async "a worker that fails while it answers"({ ask }) {
    last().loaded();
    ask("check", "check", "small");
    ask("panel", "diff", "small", "panel");
    last().onerror({ message: "out of memory" });
    await tick();
    ask("next", "check", "other");
    last().loaded();
    last().answer();
  },
  async "a worker that cannot be loaded"({ ask }) {
    ask("check", "check", "small");
    last().send({ failed: "python.zip: 404" });
    await tick();
    ask("next", "check", "small");
    last().loaded();
    last().answer();
  },
  async "a Python that is dead"({ ask }) {
    last().loaded();
    ask("check", "check", "small");
    last().send({ id: last().asked[0].id, failure: "fatal", dead: true });
    await tick();
    ask("next", "check", "other");
    last().loaded();
    last().answer();
  },
  async "a machine that is slow to load and to import"({ ask }) {
    ask("check", "check", "small");
    for (const done of [0.1, 0.5, 0.75]) {
      await pass(100_000);
      last().send({ step: "Python", done });
    }
    last().loaded();
    await pass(25_000);
    last().answer();
    await tick();
    ask("panel", "diff", "small", "panel");
    await pass(25_000);
    last().answer();
    await tick();
    ask("late", "diff", "small", "panel");
    await pass(25_000);
  },
  async "a hover that takes too long, once its modules are there"({ ask }) {
    last().loaded();
    ask("warm", "warm", "small");
    await pass(100_000);
    last().answer();
    await tick();
    ask("hover", "hover", "small");
    await pass(1_000);
    ask("check", "check", "other");
    await pass(3_001);
    last().loaded();
    last().answer();
  },
};

const found = {};
for (const [name, run] of Object.entries(scenarios)) {
  const page = made();
  await run(page);
  await tick();
  found[name] = { ...page.became, workers: workers.length, left: workers.filter((each) => !each.ended).length };
}
console.log(JSON.stringify(found));
