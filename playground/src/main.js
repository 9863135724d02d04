// The page: one text, its picture and numbers, and what can be done with them.
import { Compiler, Stopped, Superseded } from "./client.js";
import { Disk } from "./disk.js";
import { h } from "./dom.js";
import { applyEdits, makeEditor, setText, showDiagnostics, showShapes } from "./editor.js";
import { behind, counted, difference, explanations, plain, reference, summaryTable } from "./panels.js";
import { Picture } from "./picture.js";
import questions from "./questions.json";
import { keep, kept, packed, unpacked } from "./share.js";

const $ = (id) => document.getElementById(id);
const SOON = 0; // milliseconds after an edit until it is checked: of those that come meanwhile, the latest is checked next
const IDLE = 350; // milliseconds without an edit until repairs are sought
const TABS = { picture: "Picture", summary: "Summary", expanded: "Expanded", difference: "Difference", explanation: "Explanation", reference: "Operators" };
const SUFFIXES = { mermaid: "mmd", arch: "expanded.arch" };
const asked = new URLSearchParams(location.hash.slice(1));
const embedded = asked.has("embed");

const state = {
  name: "network.arch", first: "", firstName: "", settings: {}, inputs: {}, view: "picture", expand: [], collapse: [],
  checked: null, cursor: 0, sort: { column: -1, down: false }, refit: true, node: "",
};
const REHEARSALS = 16; // of the check of an edit, until the browser has compiled what runs in one
const REHEARSED = 2_500; // milliseconds that all of them may take
const QUICK = 1_000; // milliseconds of a check that is rehearsed, since an edit waits for one that has begun
let warm = false; // whether the page has begun to prepare for edits
let synced = ""; // the text of the file on disk, as it was last read or written
let editor, disk = null, pages = null, soon = 0, idle = 0, examples = [];

const text = () => editor.state.doc.toString();
const context = () => ({ text: text(), name: state.name, settings: state.settings, inputs: state.inputs });
const looks = () => ({
  style: $("style").value, heat: $("heat").value, expand: state.expand, collapse: state.collapse, ...($("depth").value === "" ? {} : { depth: Number($("depth").value) }),
});

const compiler = new Compiler(
  (step, share) => {
    $("progress").value = share;
    $("step").textContent = step === "" ? "ready" : step.startsWith("failed") ? step : `loading ${step}`;
    document.body.classList.toggle("ready", share === 1 && !step.startsWith("failed"));
  },
  (why) => say(`stopped: ${why}. Change it, and it is checked again.`, "error"),
);
if (asked.has("limit")) compiler.limit = Math.max(500, Number(asked.get("limit")) || 10_000);

function say(words, kind = "") {
  $("verdict").textContent = words;
  $("verdict").className = kind;
}

/** Ask the compiler about the text as it is; what a later request has made void returns null. */
async function ask(op, args = {}, kind = op) {
  try {
    return await compiler.ask(op, { ...context(), ...args }, kind);
  } catch (error) {
    if (error instanceof Stopped && kind === "panel") return { error: `stopped: ${error.message}` };
    if (!(error instanceof Stopped) && !(error instanceof Superseded)) say(`a bug in archc: ${error.message.split("\n").at(-2) ?? error.message}`, "error");
    return null;
  }
}

// ---- checks

function changed(delay = SOON) {
  clearTimeout(soon);
  clearTimeout(idle);
  soon = setTimeout(check, delay);
  if (!embedded) keep({ ...context(), first: state.first });
  else if (asked.get("embed") === "edit") packed(context()).then((link) => ($("full").href = `./#t=${link}`));
}

async function check() {
  const before = text();
  const found = await ask("check", { picture: looks() });
  if (!found || text() !== before) return;
  if (found.error !== undefined) return say(found.error, "error");
  state.checked = found;
  showShapes(editor, found.hints);
  tell(found);
  problems(found.diagnostics);
  settings(found);
  if (found.picture?.svg) show(found.picture);
  else if (found.picture?.error) undrawn(found.picture.error);
  if (state.view !== "picture") refresh();
  performance.measure?.("archc:check");
  document.body.dataset.checked = String(Number(document.body.dataset.checked ?? 0) + 1);
  idle = setTimeout(mend, IDLE);
}

async function mend() {
  const before = text();
  const found = await ask("mend");
  if (found?.diagnostics && text() === before) {
    problems(found.diagnostics);
    document.body.dataset.mended = String(Number(document.body.dataset.mended ?? 0) + 1);
    if (!warm && !embedded) {
      warm = true;
      prepare();
    }
  }
}

/** Import completion and hover, which takes a moment, and rehearse edits, so that the first are as fast as later ones. An edit comes first. */
async function prepare() {
  await ask("warm");
  const begin = performance.now();
  for (let times = 0; times < REHEARSALS && compiler.took < QUICK && performance.now() - begin < REHEARSED; times++) {
    if (!(await ask("rehearse", { picture: looks() }))) break;
  }
  document.body.dataset.warm = "";
}

function tell(found) {
  const wrong = found.diagnostics.length;
  if (wrong) return say(wrong === 1 ? "1 error" : `${wrong} errors`, "error");
  if (!found.network) return say("only blocks: no network to show");
  const outputs = Object.values(found.outputs).join(", ");
  const claims = found.claims ? `, ${found.claims - found.waived} of ${found.claims} claims hold` + (found.waived ? `, ${found.waived} not asked, since sizes were set` : "") : "";
  say(`${found.name}: ${counted(found.params)} parameters, ${counted(found.macs)} MACs, output ${outputs}${claims}`, "good");
}

function problems(found) {
  showDiagnostics(editor, found);
  $("problems").replaceChildren(
    ...found.map((each) => {
      const line = editor.state.doc.lineAt(Math.min(each.at[0], editor.state.doc.length)).number;
      return h(
        "div",
        { class: `problem ${each.severity}` },
        h("button", { class: "link", onclick: () => select(each.at) }, `line ${line}`),
        " ",
        h("button", { class: "link", onclick: () => look(each.code) }, each.code),
        ` ${each.message}`,
        ...each.notes.map((note) => h("div", { class: "note" }, note)),
        ...each.repairs.map((repair) => h("button", { class: "repair", onclick: () => applyEdits(editor, repair.edits) }, repair.what)),
      );
    }),
  );
}

// ---- the picture

const picture = new Picture($("port"), (name, box) => {
  if (box.at) select(box.at, false);
  state.node = name;
  const within = (list) => list.filter((each) => each !== name);
  if (box.state === "closed") [state.expand, state.collapse] = [[...within(state.expand), name], within(state.collapse)];
  else if (box.state === "open") [state.expand, state.collapse] = [within(state.expand), [...within(state.collapse), name]];
  if (box.state !== "") redraw();
  if (state.view === "explanation") refresh();
});

globalThis.archcPicture = picture; // for tests, and for whoever looks around in the console

async function redraw(fit = false) {
  const found = await ask("picture", looks());
  if (found?.svg) show(found, fit);
  else if (found?.error) undrawn(found.error);
}

/** Say why there is no picture, in its place: one of an earlier text would be taken for that of this one. */
function undrawn(why) {
  state.refit = true;
  $("port").replaceChildren(h("p", { class: "undrawn" }, why));
  $("behind").replaceChildren();
  $("port").classList.remove("partial");
}

function show(found, fit = state.refit) {
  state.refit = false;
  picture.show(found, fit);
  picture.mark(state.cursor);
  $("behind").replaceChildren(behind(found.table));
  $("port").classList.toggle("partial", !found.whole);
}

function select(at, focus = true) {
  const end = editor.state.doc.length;
  editor.dispatch({ selection: { anchor: Math.min(at[0], end), head: Math.min(at[1], end) }, scrollIntoView: true });
  if (focus) editor.focus();
}

// ---- parameters and inputs

function settings(found) {
  const form = $("settings");
  const signature = JSON.stringify([found.parameters.map(({ name, default: value }) => [name, value]), found.inputs.map(({ name }) => name)]);
  if (form.dataset.signature === signature) return;
  form.dataset.signature = signature;
  const held = new Set(found.parameters.map(({ name }) => name));
  for (const name of Object.keys(state.settings)) if (!held.has(name)) delete state.settings[name];
  form.replaceChildren(
    ...found.parameters.map((each) => field(state.settings, each.name, each.name, each.default)),
    ...found.inputs.map((each) => field(state.inputs, each.key, `input ${each.name === "input" ? "" : each.name}`.trim(), each.shape)),
    found.parameters.length + found.inputs.length ? h("button", { type: "button", id: "as-written", onclick: asWritten }, "As written") : "",
  );
  $("sizes").hidden = found.parameters.length + found.inputs.length === 0;
}

/** Make the field of a parameter: a slider beside it where it is a whole number, a box to tick where it is yes or no. */
function field(held, key, label, value) {
  const id = `set-${label.replace(/\W/g, "-")}`;
  const set = (now) => {
    if (now === "" || now === value) delete held[key];
    else held[key] = now;
    changed();
  };
  const now = held[key] ?? value;
  if (/^(yes|no)$/.test(value)) {
    const box = h("input", { id, type: "checkbox", checked: now === "yes", onchange: () => set(box.checked ? "yes" : "no") });
    return h("label", { for: id }, box, ` ${label}`);
  }
  const entry = h("input", { id, value: now, spellcheck: "false", autocomplete: "off", oninput: () => (set(entry.value.trim()), slider && (slider.value = entry.value)) });
  const most = 4 * Number(value);
  const slider =
    /^[1-9]\d{0,5}$/.test(value) &&
    h("input", {
      type: "range", min: "1", max: String(Math.max(most, 8)), value: now, "aria-label": `${label}, slider`,
      oninput: () => {
        entry.value = slider.value;
        set(slider.value);
      },
    });
  return h("span", { class: "field" }, h("label", { for: id }, label), " ", entry, ...(slider ? [slider] : []));
}

function asWritten() {
  state.settings = {};
  state.inputs = {};
  delete $("settings").dataset.signature;
  changed();
}

// ---- tabs

function tabs() {
  const buttons = Object.entries(TABS).map(([view, label]) =>
    h("button", { role: "tab", id: `tab-${view}`, "aria-controls": "panel", "aria-selected": String(view === state.view), tabindex: view === state.view ? "0" : "-1", onclick: () => open(view) }, label),
  );
  $("tabs").replaceChildren(...buttons);
  $("tabs").onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = buttons.indexOf(document.activeElement);
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
  };
}

function open(view) {
  state.view = view;
  for (const tab of $("tabs").children) {
    const chosen = tab.id === `tab-${view}`;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
  }
  $("panel").setAttribute("aria-labelledby", `tab-${view}`);
  for (const each of $("panel").children) each.hidden = each.dataset.view !== view;
  refresh();
}

const place = (view) => document.querySelector(`[data-view="${view}"]`);

async function refresh() {
  const view = state.view;
  if (view === "picture") return;
  if (view === "reference") {
    if (!pages) {
      pages = reference(await (await fetch("reference.json")).json());
      place(view).replaceChildren(pages.element);
    }
    return;
  }
  const args = {
    summary: {}, expanded: {}, difference: { first: state.first }, explanation: { at: state.cursor, ...(state.node ? { node: state.node } : {}) },
  }[view];
  const found = await ask({ summary: "summary", expanded: "expanded", difference: "diff", explanation: "explain" }[view], args, "panel");
  if (!found) return;
  if (found.error !== undefined && view !== "difference") return place(view).replaceChildren(plain(found.error, "error"));
  place(view).replaceChildren(rendered(view, found));
}

function rendered(view, found) {
  if (view === "explanation") return explanations(found.steps);
  if (view === "difference") {
    const sides = [[state.firstName || "as it was", state.first], [state.firstName ? base() : "now", text()]];
    return difference(found.error ?? found.text, sides, questions);
  }
  if (view !== "summary") return plain(found.text, TABS[view]);
  const again = () => place("summary").replaceChildren(rendered("summary", found));
  return summaryTable(found, {
    sort: state.sort,
    onSort: (column) => {
      state.sort = state.sort.column === column ? (state.sort.down ? { column, down: false } : { column: -1, down: false }) : { column, down: true };
      again();
    },
    onNode: (name) => {
      state.node = name.split(" ")[0];
      open("explanation");
    },
  });
}

async function look(word) {
  open("reference");
  await refresh();
  pages.search(word);
}

// ---- files

function load({ name, text: content, settings: set = {}, inputs = {}, first = content, firstName = "" }) {
  Object.assign(state, { name, first, firstName, settings: { ...set }, inputs: { ...inputs }, expand: [], collapse: [], refit: true, node: "" });
  delete $("settings").dataset.signature;
  document.title = `${name.replace(/\.arch$/, "")} · archc`;
  if (!state.checked && content !== text()) undrawn(`the picture of ${name} is drawn as soon as Python is loaded`);
  if (text() === content) changed(0);
  else setText(editor, content);
}

function example(name, against = "") {
  const found = examples.find((each) => each.name === name);
  const other = examples.find((each) => each.name === against);
  if (!found) return false;
  return opened(found, other);
}

/** Open a network, compared with another where there is one. */
function opened(found, other) {
  load({ name: `${found.name}.arch`, text: found.text, ...(other ? { first: other.text, firstName: other.name } : {}) });
  if (other) open("difference");
  return true;
}

/** Open the networks that answer a question; each is an example, unless it has a text of its own. */
function question(slug) {
  const found = questions.find((each) => each.slug === slug);
  if (!found) return false;
  const [first, second] = [found.first, found.second].map((each) => (each.text ? each : examples.find(({ name }) => name === each.name)));
  return opened(second, first);
}

function download(name, parts, type) {
  const link = h("a", { href: URL.createObjectURL(new Blob(parts, { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const base = () => state.name.replace(/\.arch$/, "") || "network";

async function save() {
  if (!disk) return download(`${base()}.arch`, [text()], "text/plain");
  const now = text();
  const wrong = await disk.write(now);
  if (!wrong) synced = now;
  say(wrong || `saved ${state.name}`, wrong ? "error" : "good");
}

async function exported(form) {
  if (form === "print") return print();
  const found = await ask("export", { ...looks(), form: form === "png" ? "svg" : form, ...(form === "svg" || form === "png" ? { theme: "light" } : {}) });
  if (!found) return;
  if (found.error !== undefined) return say(found.error, "error");
  const name = `${base()}.${SUFFIXES[form] ?? form}`;
  if (found.base64 !== undefined) return download(name, [Uint8Array.from(atob(found.base64), (char) => char.charCodeAt(0))], "application/octet-stream");
  if (form !== "png") return download(name, [found.text], form === "svg" ? "image/svg+xml" : "text/plain");
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([found.text], { type: "image/svg+xml" }));
  await image.decode();
  const scale = Math.min(2, 16_000 / Math.max(image.width, image.height));
  const canvas = h("canvas", { width: Math.ceil(image.width * scale), height: Math.ceil(image.height * scale) });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  canvas.toBlob((blob) => (blob ? download(name, [blob], "image/png") : say("this picture is too large for a PNG", "error")), "image/png");
}

async function share() {
  const link = new URL(location.href);
  link.search = "";
  link.hash = `t=${await packed({ ...context(), ...(state.first === text() ? {} : { first: state.first }) })}`;
  history.replaceState(null, "", `${location.pathname}${location.search}${link.hash}`);
  try {
    await navigator.clipboard.writeText(link.href);
    say("the link is copied, and in the address bar; the text is in the link itself", "good");
  } catch {
    say("the link is in the address bar; the text is in the link itself", "good");
  }
}

async function taken(file) {
  if (file.size > 1 << 20) return say(`${file.name} is larger than 1 MiB`, "error");
  load({ name: file.name.replace(/[^\w.-]/g, "_"), text: (await file.text()).replace(/\r\n?/g, "\n").replace(/^\ufeff/, "") });
}

async function format() {
  const before = text();
  const found = await ask("format", {}, "format");
  if (found?.text !== undefined && text() === before && found.text !== before) {
    const at = Math.min(state.cursor, found.text.length);
    editor.dispatch({ changes: { from: 0, to: before.length, insert: found.text }, selection: { anchor: at } });
  } else if (found?.error) say("it cannot be formatted while it cannot be read", "error");
}

// ---- the page

async function fromLink() {
  const hash = new URLSearchParams(location.hash.slice(1));
  if (hash.has("t")) {
    const found = await unpacked(hash.get("t"));
    if (found) return load(found), true;
    say("this link holds no text", "error");
  }
  if (hash.has("question")) return question(hash.get("question"));
  return hash.has("example") && example(hash.get("example"), hash.get("against") ?? "");
}

function wire() {
  $("examples").addEventListener("change", ({ target }) => {
    const found = questions.find(({ words }) => words === target.value);
    if (found ? question(found.slug) : example(target.value.trim())) target.value = "";
  });
  $("open").onclick = () => $("file").click();
  $("file").onchange = ({ target }) => target.files[0] && taken(target.files[0]);
  $("save").onclick = save;
  $("export").onchange = ({ target }) => {
    exported(target.value);
    target.value = "";
  };
  $("share").onclick = share;
  $("format").onclick = format;
  $("theme").onchange = ({ target }) => theme(target.value);
  for (const id of ["style", "heat"]) $(id).onchange = () => redraw(true);
  $("depth").onchange = () => {
    state.expand = state.collapse = [];
    redraw(true);
  };
  $("in").onclick = () => picture.zoom(1.25);
  $("out").onclick = () => picture.zoom(0.8);
  $("fit").onclick = () => picture.fit();
  $("settings").onsubmit = (event) => event.preventDefault();
  for (const [id, other] of [["show-text", "show-result"], ["show-result", "show-text"]]) {
    $(id).onclick = () => {
      document.body.dataset.side = id === "show-text" ? "text" : "result";
      $(id).setAttribute("aria-pressed", "true");
      $(other).setAttribute("aria-pressed", "false");
    };
  }
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) taken(file);
  });
  addEventListener("hashchange", fromLink);
}

function theme(wanted) {
  if (wanted) document.documentElement.dataset.theme = wanted;
  else delete document.documentElement.dataset.theme;
  $("theme").value = wanted;
  try {
    localStorage.setItem("archc.theme", wanted);
  } catch {
    // nothing is kept
  }
}

async function start() {
  try {
    theme(localStorage.getItem("archc.theme") ?? "");
  } catch {
    theme("");
  }
  document.body.classList.toggle("embed", embedded);
  document.body.classList.toggle("edit", asked.get("embed") === "edit");
  if (embedded) $("right").prepend(h("h1", { class: "sr-only" }, "archc")); // that of the header is not shown
  document.body.dataset.side = "text";
  if (innerWidth > 800) $("sizes").open = true;
  const first = $("first").textContent;
  $("editor").replaceChildren();
  editor = makeEditor($("editor"), first, {
    ask, save, format,
    edited: () => changed(),
    moved: (at) => {
      state.cursor = at;
      picture.mark(at);
      if (state.view === "explanation" && state.checked) {
        state.node = "";
        refresh();
      }
    },
  }, "editor");
  tabs();
  wire();
  picture.fit();
  state.first = first;
  state.name = "lenet5_modern.arch";
  examples = await (await fetch("examples.json")).json();
  $("names").replaceChildren(
    ...questions.map(({ words }) => h("option", { value: words })),
    ...examples.map(({ name, source, params }) => h("option", { value: name }, `${source} (${counted(params)} parameters)`)),
  );
  disk = await Disk.found();
  if (disk) {
    const read = await disk.read();
    load(read);
    synced = text();
    disk.follow((now) => {
      if (now === text()) return (synced = now), true;
      if (text() !== synced) return say(`${state.name} has changed on disk, and here: save is refused until one of the two is undone`, "error"), false;
      setText(editor, now);
      synced = text();
      return true;
    });
  } else if (!(await fromLink()) && !embedded) {
    const before = kept();
    if (before) load(before);
  }
  if (embedded) {
    $("full").hidden = false;
    $("full").href = `./#${location.hash.slice(1).split("&").filter((part) => !part.startsWith("embed")).join("&")}`;
  }
  if (!state.checked) changed(0);
}

start();
