// The file on disk beside the page, where `archc serve` has opened it: both follow each other.
const EVERY = 700; // milliseconds between two looks at the file

export class Disk {
  #version = "";
  #token;

  /** Return the file that the server holds; null where the page is served by anything else. */
  static async found() {
    const token = new URLSearchParams(location.search).get("token");
    if (!token) return null;
    const disk = new Disk(token);
    return (await disk.read()) === null ? null : disk;
  }

  constructor(token) {
    this.#token = token;
  }

  #ask(options = {}) {
    return fetch("./file", { ...options, headers: { "X-Archc-Token": this.#token, ...options.headers } });
  }

  /** Return the name and the text, or null. */
  async read() {
    try {
      const answer = await this.#ask();
      if (!answer.ok) return null;
      this.#version = answer.headers.get("ETag") ?? "";
      return { name: decodeURIComponent(answer.headers.get("X-Archc-Name") ?? "network.arch"), text: await answer.text() };
    } catch {
      return null;
    }
  }

  /** Write the text, unless somebody else has changed the file meanwhile; return what is wrong, or "". */
  async write(text) {
    try {
      const answer = await this.#ask({ method: "PUT", body: text, headers: { "If-Match": this.#version } });
      if (answer.ok) this.#version = answer.headers.get("ETag") ?? "";
      return answer.ok ? "" : await answer.text();
    } catch (error) {
      return String(error.message);
    }
  }

  /** Call with the new text whenever the file changes on disk, until it is taken: what is not may not be overwritten. */
  follow(changed) {
    setInterval(async () => {
      try {
        const answer = await this.#ask({ headers: { "If-None-Match": this.#version } });
        if (answer.status !== 200) return;
        const tag = answer.headers.get("ETag") ?? "";
        if (changed(await answer.text())) this.#version = tag;
      } catch {
        // the server has ended; the page goes on without it
      }
    }, EVERY);
  }
}
