// The tabs besides the picture, made of plain data.
import { h, markdown } from "./dom.js";

const HEADS = ["name", "operator", "copies", "output", "parameters", "MACs", "memory", "field"];
const NUMBERS = new Set([2, 4, 5, 6]);

export const counted = (value) => (typeof value === "number" ? value.toLocaleString("en-US") : String(value));

function bytes(value) {
  if (typeof value !== "number") return String(value);
  if (value < 1024) return `${value} B`;
  const step = Math.min(3, Math.floor(Math.log2(value) / 10));
  return `${(value / 1024 ** step).toFixed(step > 1 ? 2 : 1)} ${["B", "KiB", "MiB", "GiB"][step]}`;
}

const shown = (value, column) => (column === 6 ? bytes(value) : column === 2 && value === 1 ? "" : NUMBERS.has(column) ? counted(value) : value);

/** Show the summary; a column is sorted by its head, blocks stay with what they hold until then. */
export function summaryTable(found, { onNode, sort, onSort }) {
  let rows = found.rows.map(([level, ...rest]) => ({ level, cells: rest }));
  if (sort.column >= 0) {
    const key = ({ cells }) => cells[sort.column];
    const number = (value) => (typeof value === "number" ? value : parseFloat(value) || 0);
    rows = [...rows].sort((a, b) =>
      NUMBERS.has(sort.column) || sort.column === 7 ? number(key(a)) - number(key(b)) : String(key(a)).localeCompare(String(key(b))),
    );
    if (sort.down) rows.reverse();
  }
  const heads = HEADS.map((name, column) =>
    h(
      "th",
      { scope: "col", "aria-sort": sort.column === column ? (sort.down ? "descending" : "ascending") : "none" },
      h("button", { onclick: () => onSort(column) }, name),
    ),
  );
  const body = rows.map(({ level, cells }) =>
    h(
      "tr",
      {},
      ...cells.map((value, column) =>
        column === 0
          ? h("th", { scope: "row", class: sort.column < 0 ? `level${Math.min(level, 5)}` : "" }, h("button", { class: "link", onclick: () => onNode(value) }, value))
          : h("td", { class: NUMBERS.has(column) ? "number" : "" }, shown(value, column)),
      ),
    ),
  );
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": "summary" },
    h(
      "table",
      { id: "summary-table" },
      h("caption", {}, `${counted(found.params)} parameters, ${counted(found.macs)} MACs. ${found.rule}`),
      h("thead", {}, h("tr", {}, ...heads)),
      h("tbody", {}, ...body),
    ),
  );
}

/** Show the rows behind a picture, for those who do not see it. */
export function behind(rows) {
  const line = (cells) => h("tr", {}, h("th", { scope: "row" }, cells[0]), ...cells.slice(1).map((cell) => h("td", {}, cell)));
  const head = ["box", "operator", "shape", "leads to"].map((name) => h("th", { scope: "col" }, name));
  return h("table", {}, h("caption", {}, "the picture as a table"), h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows.map(line)));
}

export const plain = (text, label) => h("pre", { tabindex: "0", role: "group", "aria-label": label }, text);

/** Show two texts side by side, `[name, text]` each, how their networks differ, and questions that two networks answer, as links. */
export function difference(words, sides, questions) {
  const side = ([name, text]) => h("figure", {}, h("figcaption", {}, name), plain(text, name));
  const links = questions.map(({ slug, words: asked }) => h("li", {}, h("a", { href: `#question=${slug}` }, asked)));
  const [before, now] = sides;
  const asked = h("details", { id: "questions", open: before[1] === now[1] }, h("summary", {}, "Questions that two networks answer"), h("ul", {}, ...links));
  return h("div", {}, asked, plain(words, "difference"), h("div", { class: "sides" }, ...sides.map(side)));
}

/** Show explanations: for each node its topics, a line each. */
export function explanations(steps) {
  if (steps.length === 0) return h("p", {}, "Put the cursor on an item, or choose a box of the picture.");
  const made = h("div");
  for (const { name, topics } of steps) {
    made.append(h("h2", {}, name));
    const list = h("dl");
    for (const [topic, lines] of Object.entries(topics)) {
      list.append(h("dt", {}, topic), ...lines.map((line) => h("dd", {}, line)));
    }
    made.append(list);
  }
  return made;
}

/** Show the operators and the codes of errors, found by a word. */
export function reference(pages) {
  const entries = [...Object.entries(pages.operators), ...Object.entries(pages.codes)];
  const list = h("div", { id: "pages" });
  const fill = (word) => {
    const wanted = word.trim().toLowerCase();
    const exact = entries.filter(([name]) => name.toLowerCase() === wanted);
    const found = exact.length ? exact : entries.filter(([name, text]) => name.toLowerCase().includes(wanted) || (wanted.length > 2 && text.toLowerCase().includes(wanted)));
    list.replaceChildren(
      ...found.slice(0, 12).map(([, text]) => h("section", {}, markdown(text))),
      ...(found.length > 12 ? [h("p", {}, `and ${found.length - 12} more: `, ...found.slice(12).map(([name]) => h("button", { class: "link", onclick: () => search(name) }, name)))] : []),
      ...(found.length ? [] : [h("p", {}, "nothing is called so")]),
    );
  };
  const field = h("input", { id: "find-operator", type: "search", oninput: () => fill(field.value) });
  const search = (word) => {
    field.value = word;
    fill(word);
  };
  fill("");
  return { element: h("div", {}, h("p", {}, h("label", {}, "operator or code ", field)), list), search };
}
