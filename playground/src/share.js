// What one has written, as the fragment of a link, which no server sees, and in the storage of the browser.
const KEY = "archc.playground";
const MOST = 1 << 20; // characters of a text in a link

const through = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());

/** Return an object as a fragment: deflated, in letters that links may hold. */
export async function packed(value) {
  const bytes = await through(new TextEncoder().encode(JSON.stringify(value)), new CompressionStream("deflate-raw"));
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Read what `packed` has returned; null for anything else. */
export async function unpacked(text) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    const reader = stream.getReader();
    const pieces = [];
    let size = 0;
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      size += value.length;
      if (size > MOST) {
        await reader.cancel();
        return null;
      }
      pieces.push(value);
    }
    return checked(JSON.parse(await new Blob(pieces).text()));
  } catch {
    return null;
  }
}

/** Take only what a page may hold, each of its type. */
export function checked(value) {
  if (typeof value !== "object" || value === null || typeof value.text !== "string") return null;
  const words = (given) => Object.fromEntries(Object.entries(given ?? {}).filter(([, text]) => typeof text === "string"));
  return {
    text: value.text,
    name: typeof value.name === "string" ? value.name.replace(/[^\w.-]/g, "_").slice(0, 80) : "network.arch",
    settings: words(value.settings),
    inputs: words(value.inputs),
    first: typeof value.first === "string" ? value.first : value.text,
  };
}

export function keep(value) {
  try {
    localStorage.setItem(KEY, JSON.stringify(value));
  } catch {
    // a browser that keeps nothing, or is full: the text is still in the page
  }
}

export function kept() {
  try {
    return checked(JSON.parse(localStorage.getItem(KEY)));
  } catch {
    return null;
  }
}
