// The language of archc for CodeMirror 6: `arch()` is an extension. Its rules are made from the table of highlighting.
import { LanguageSupport, StreamLanguage } from "@codemirror/language";
import { next } from "./lines.js";

const parser = {
  name: "arch",
  startState: () => ({ pieces: [] }),
  copyState: ({ pieces }) => ({ pieces: [...pieces] }),
  token(stream, state) {
    if (stream.sol()) state.pieces = [];
    if (stream.eatSpace()) return null;
    if (state.pieces.length === 0) state.pieces = next(stream.string, stream.pos);
    const [end, tag] = state.pieces.shift();
    stream.pos = end;
    return tag || null;
  },
  languageData: { commentTokens: { line: "#" }, closeBrackets: { brackets: ["{", "[", "(", '"'] } },
};

export const archLanguage = StreamLanguage.define(parser);

/** Return the extension for an editor. */
export function arch() {
  return new LanguageSupport(archLanguage);
}
