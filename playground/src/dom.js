// Elements, made without HTML: whatever a text holds stays text.

/** Make an element with attributes (`on…` are listeners) and children, which are elements or texts. */
export function h(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]+)\]\([^)]*\)|\\([*_#|\\`])/g;

function inline(text) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    parts.push(text.slice(at, found.index));
    if (found[1]) parts.push(h("code", {}, found[1]));
    else if (found[2]) parts.push(h("strong", {}, found[2]));
    else if (found[3]) parts.push(h("em", {}, found[3]));
    else parts.push(found[4] ?? found[5]);
    at = found.index + found[0].length;
  }
  return [...parts, text.slice(at)];
}

const cells = (line) => line.replace(/^\s*\|/, "").replace(/\|\s*$/, "").split(/(?<!\\)\|/).map((cell) => cell.trim());

/** Show the Markdown that archc writes: headings, paragraphs, tables, lists and code. Links become text. */
export function markdown(text) {
  const made = document.createDocumentFragment();
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    if (line.startsWith("```")) {
      let end = at + 1;
      while (end < lines.length && !lines[end].startsWith("```")) end++;
      made.append(h("pre", { tabindex: "0" }, h("code", {}, lines.slice(at + 1, end).join("\n"))));
      at = end + 1;
    } else if (/^\|/.test(line) && /^\|[-:| ]+$/.test(lines[at + 1] ?? "")) {
      let end = at + 2;
      while (end < lines.length && lines[end].startsWith("|")) end++;
      const head = h("tr", {}, ...cells(line).map((cell) => h("th", { scope: "col" }, ...inline(cell))));
      const rows = lines.slice(at + 2, end).map((row) => h("tr", {}, ...cells(row).map((cell) => h("td", {}, ...inline(cell)))));
      made.append(h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "table" }, h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows))));
      at = end;
    } else if (/^#{1,6} /.test(line)) {
      made.append(h("h2", {}, ...inline(line.replace(/^#+ /, ""))));
      at++;
    } else if (/^[*-] /.test(line)) {
      const list = h("ul");
      while (/^([*-] |  )/.test(lines[at] ?? "")) {
        if (lines[at].startsWith("  ")) list.lastChild?.append(" ", ...inline(lines[at].trim()));
        else list.append(h("li", {}, ...inline(lines[at].slice(2))));
        at++;
      }
      made.append(list);
    } else if (/^-{3,}$/.test(line)) {
      made.append(h("hr"));
      at++;
    } else if (line.trim() === "") {
      at++;
    } else {
      const block = [];
      while (at < lines.length && lines[at].trim() !== "" && !/^(```|\||#{1,6} |[*-] )/.test(lines[at])) block.push(lines[at++].trim());
      if (block.length === 0) block.push(lines[at++]);
      made.append(h("p", {}, ...inline(block.join(" "))));
    }
  }
  return made;
}
