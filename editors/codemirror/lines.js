// A line of `.arch` as pieces, by the rules in the order in which they are tried.
import { rules } from "./rules.js";

/** Return the part of a line that begins at `start`: its end and, for each of its pieces, the tag. */
export function next(line, start) {
  for (const [pattern, tags] of rules) {
    pattern.lastIndex = start;
    const match = pattern.exec(line);
    if (match === null || match[0] === "") continue;
    if (tags.length === 1) return [[start + match[0].length, tags[0]]];
    const pieces = [];
    let end = start;
    for (const [number, tag] of tags.entries()) {
      end += (match[number + 1] ?? "").length;
      if (match[number + 1]) pieces.push([end, tag]);
    }
    return pieces;
  }
  return [[start + 1, ""]];
}
