// The page of the preview runs no script, and holds the picture as it is.
const assert = require("node:assert");
const { test } = require("node:test");
const { page } = require("../src/page");

test("a picture without its declaration, and no script", () => {
  const text = page('<?xml version="1.0"?>\n<svg><text>conv3-64</text></svg>');
  assert.ok(text.includes("<body><svg><text>conv3-64</text></svg></body>"));
  assert.ok(text.includes("default-src 'none'"));
});
