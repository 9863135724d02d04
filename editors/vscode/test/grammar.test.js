// The grammar as VS Code reads it: vscode-textmate with its regular expressions, over lines whose parts are known.
const assert = require("node:assert");
const { readFileSync, readdirSync } = require("node:fs");
const { join } = require("node:path");
const { test } = require("node:test");
const oniguruma = require("vscode-oniguruma");
const { INITIAL, Registry, parseRawGrammar } = require("vscode-textmate");

const ROOT = join(__dirname, "..");
const ARCHS = join(ROOT, "..", "..", "archs");

async function grammar() {
  const wasm = readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm"));
  await oniguruma.loadWASM(wasm);
  const path = join(ROOT, "syntaxes", "arch.tmLanguage.json");
  const registry = new Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    loadGrammar: async () => parseRawGrammar(readFileSync(path, "utf8"), path),
  });
  return registry.loadGrammar("source.arch");
}

const loaded = grammar();

async function parts(line) {
  const { tokens } = (await loaded).tokenizeLine(line, INITIAL);
  return tokens
    .map(({ startIndex, endIndex, scopes }) => [line.slice(startIndex, endIndex), scopes.at(-1).replace(/\.arch$/, "")])
    .filter(([text]) => text.trim());
}

const OPERATOR = "support.function";
const NUMBER = "constant.numeric";
const CASES = {
  "conv7-64/2 => 64x112x112": [["conv", OPERATOR], ["7", NUMBER], ["-64", NUMBER], ["/2", NUMBER], ["=>", "keyword.operator"], ["64x112x112", NUMBER]],
  "layer1: [ unit(64); unit(64) x{n - 1} ]": [
    ["layer1", "entity.name.tag.label"], [":", "keyword.operator"], ["[", "punctuation"], ["unit", "entity.name.function"], ["(", "punctuation"],
    ["64", NUMBER], [")", "punctuation"], [";", "punctuation"], ["unit", "entity.name.function"], ["(", "punctuation"], ["64", NUMBER],
    [")", "punctuation"], ["x", "keyword.operator"], ["{", "punctuation"], ["n", "variable.other"], ["-", "keyword.operator"], ["1", NUMBER],
    ["}", "punctuation"], ["]", "punctuation"],
  ],
  "block: FC-10  # a label": [
    ["block", "entity.name.tag.label"], [":", "keyword.operator"], ["FC", OPERATOR], ["-10", NUMBER], ["# a label", "comment.line.number-sign"],
  ],
  "block unit(w) {": [
    ["block", "keyword.declaration"], ["unit", "entity.name.type"], ["(", "punctuation"], ["w", "variable.other"], [")", "punctuation"], ["{", "punctuation"],
  ],
  "add<@layers.0.conv | .>": [
    ["add", OPERATOR], ["<", "keyword.operator"], ["@layers.0.conv", "variable.other.readwrite.reference"], ["|", "keyword.operator"],
    [".", "keyword.operator"], [">", "keyword.operator"],
  ],
  "if s != 1 or in.c != 4*w { conv1-{4*w}(bias=no) }": [
    ["if", "keyword.control"], ["s", "variable.other"], ["!=", "keyword.operator"], ["1", NUMBER], ["or", "keyword.operator.logical"],
    ["in", "variable.language"], [".", "keyword.operator"], ["c", "variable.other"], ["!=", "keyword.operator"], ["4", NUMBER],
    ["*", "keyword.operator"], ["w", "variable.other"], ["{", "punctuation"], ["conv", OPERATOR], ["1", NUMBER], ["-", "keyword.operator"],
    ["{", "punctuation"], ["4", NUMBER], ["*", "keyword.operator"], ["w", "variable.other"], ["}", "punctuation"], ["(", "punctuation"],
    ["bias", "variable.parameter"], ["=", "keyword.operator"], ["no", "constant.language"], [")", "punctuation"], ["}", "punctuation"],
  ],
};

for (const [line, expected] of Object.entries(CASES)) {
  test(line, async () => assert.deepStrictEqual(await parts(line), expected));
}

test("every network is covered, character by character", async () => {
  const files = readdirSync(ARCHS, { recursive: true }).filter((name) => name.endsWith(".arch"));
  assert.ok(files.length > 100);
  for (const file of files) {
    for (const line of readFileSync(join(ARCHS, file), "utf8").split("\n")) {
      const { tokens } = (await loaded).tokenizeLine(line, INITIAL);
      const bare = tokens.filter(({ startIndex, endIndex, scopes }) => scopes.length === 1 && line.slice(startIndex, endIndex).trim());
      assert.deepStrictEqual(bare, [], `${file}: ${line}`);
    }
  }
});
