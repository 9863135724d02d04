// The picture: taken from SVG element by element, moved and zoomed, with boxes that open and that lead to their lines.
const NS = "http://www.w3.org/2000/svg";
const ELEMENTS = new Set(["svg", "g", "path", "polygon", "polyline", "ellipse", "text", "tspan", "title"]);
const ATTRIBUTES = new Set(
  ("id class viewBox width height transform d points cx cy rx ry x y fill stroke stroke-width stroke-dasharray stroke-opacity fill-opacity " +
    "text-anchor font-family font-size font-weight font-style data-name data-family data-src data-shape data-params data-macs data-copies data-status").split(" "),
);

/** Copy what a picture consists of, and nothing else: no script, no link, no style. */
function copied(element) {
  const made = document.createElementNS(NS, element.localName);
  for (const { name, value } of element.attributes) if (ATTRIBUTES.has(name)) made.setAttribute(name, value);
  for (const child of element.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) made.append(child.data);
    else if (child.nodeType === Node.ELEMENT_NODE && child.namespaceURI === NS && ELEMENTS.has(child.localName)) made.append(copied(child));
  }
  return made;
}

export class Picture {
  #scale = 1;
  #x = 0;
  #y = 0;
  #pointers = new Map();
  #dragged = false;
  #boxes = {};
  #fitted = true;

  /** `onBox(name, box)` is told of a box that was chosen. */
  constructor(port, onBox) {
    this.port = port;
    this.onBox = onBox;
    port.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    port.addEventListener("pointerdown", (event) => this.#down(event));
    port.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) port.addEventListener(end, (event) => this.#pointers.delete(event.pointerId));
    port.addEventListener("click", (event) => this.#chosen(event), true);
    port.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#fitted && this.fit()).observe(port);
  }

  get svg() {
    return this.port.querySelector("svg");
  }

  /** Show a picture; `fit` it anew, or keep the place that one looks at. */
  show({ svg, boxes }, fit) {
    const root = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    if (root.localName !== "svg") return;
    const focused = document.activeElement?.closest?.("#port [data-name]")?.dataset.name; // ids are numbers, and another picture has others
    const made = copied(root);
    this.#boxes = boxes;
    this.port.replaceChildren(made);
    this.dress(boxes);
    if (fit || this.#fitted) this.fit();
    else this.#apply();
    if (focused) [...made.querySelectorAll("[data-name]")].find((each) => each.dataset.name === focused)?.focus({ preventScroll: true });
  }

  /** Make the boxes of the picture that is there reachable by the keyboard. */
  dress(boxes) {
    this.#boxes = boxes;
    const svg = this.svg;
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", "picture of the network");
    for (const each of svg.querySelectorAll("g[data-name]")) {
      const box = boxes[each.dataset.name];
      if (!box) continue;
      each.setAttribute("tabindex", "0");
      each.setAttribute("role", "button");
      const state = { open: "close block ", closed: "open block " }[box.state] ?? "";
      const seen = [...each.querySelectorAll("text")].map((line) => line.textContent).join(" ");
      each.setAttribute("aria-label", `${state}${seen}: ${box.label}`);
      each.classList.toggle("block", box.state !== "");
    }
    svg.querySelector("g.graph > title")?.remove();
  }

  /** Mark the boxes of a place of the text. */
  mark(at) {
    const holding = Object.entries(this.#boxes).filter(([, box]) => box.at && box.at[0] <= at && at <= box.at[1]);
    const least = Math.min(...holding.map(([, box]) => box.at[1] - box.at[0]));
    const names = new Set(holding.filter(([, box]) => box.at[1] - box.at[0] === least).map(([name]) => name));
    for (const each of this.port.querySelectorAll("g[data-name]")) each.classList.toggle("here", names.has(each.dataset.name));
    return names;
  }

  fit() {
    const svg = this.svg;
    if (!svg) return;
    const { width, height } = this.#size();
    const { clientWidth, clientHeight } = this.port;
    if (!width || !clientWidth) return;
    this.#scale = Math.min(1.25, (clientWidth - 16) / width, (clientHeight - 16) / height);
    if (this.#scale < 0.35) this.#scale = Math.min(1, Math.max((clientWidth - 16) / width, 0.35)); // a long one is read from its beginning
    this.#x = Math.max(8, (clientWidth - width * this.#scale) / 2);
    this.#y = 8;
    this.#fitted = true;
    this.#apply();
  }

  zoom(factor, x = this.port.clientWidth / 2, y = this.port.clientHeight / 2) {
    const scale = Math.min(8, Math.max(0.03, this.#scale * factor));
    this.#x = x - ((x - this.#x) * scale) / this.#scale;
    this.#y = y - ((y - this.#y) * scale) / this.#scale;
    this.#scale = scale;
    this.#fitted = false;
    this.#apply();
  }

  #size() {
    const [, , width, height] = (this.svg.getAttribute("viewBox") ?? "0 0 100 100").split(/\s+/).map(Number);
    return { width: (width * 4) / 3, height: (height * 4) / 3 };
  }

  #apply() {
    if (this.svg) this.svg.style.transform = `translate(${this.#x}px, ${this.#y}px) scale(${this.#scale})`;
  }

  #pan(x, y) {
    this.#x += x;
    this.#y += y;
    this.#fitted = false;
    this.#apply();
  }

  #wheel(event) {
    event.preventDefault();
    const { left, top } = this.port.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY / 400), event.clientX - left, event.clientY - top);
  }

  #down(event) {
    this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.#dragged = false;
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
    if (!this.#dragged && Math.hypot(dx, dy) < 4) return;
    this.#dragged = true;
    if (this.#pointers.size === 2) {
      const other = [...this.#pointers].find(([id]) => id !== event.pointerId)[1];
      const { left, top } = this.port.getBoundingClientRect();
      const apart = ([x, y]) => Math.hypot(x - other[0], y - other[1]) || 1;
      this.zoom(apart([event.clientX, event.clientY]) / apart(before), other[0] - left, other[1] - top);
    } else {
      this.#pan(dx, dy);
    }
    this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  #chosen(event) {
    const group = event.target.closest?.("g[data-name]");
    if (!group || this.#dragged) return;
    this.#choose(group.dataset.name);
  }

  #choose(name) {
    const box = this.#boxes[name];
    if (box) this.onBox(name, box);
  }

  #key(event) {
    const group = event.target.closest?.("g[data-name]");
    if (group && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      return this.#choose(group.dataset.name);
    }
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (step) this.#pan(...step);
    else if (event.key === "+" || event.key === "=") this.zoom(1.25);
    else if (event.key === "-") this.zoom(0.8);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }
}
