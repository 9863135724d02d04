// The editor: CodeMirror with archc's highlighting, errors with repairs, shapes at line ends, hover, completion and find.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState, StateEffect, StateField } from "@codemirror/state";
import { Decoration, drawSelection, EditorView, highlightActiveLine, hoverTooltip, keymap, lineNumbers, WidgetType } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { arch } from "../../editors/codemirror/arch.js";
import { h, markdown } from "./dom.js";

class Shape extends WidgetType {
  constructor(text) {
    super();
    this.text = text;
  }
  eq(other) {
    return other.text === this.text;
  }
  toDOM() {
    return h("span", { class: "shape", "aria-hidden": "true" }, this.text);
  }
}

const setShapes = StateEffect.define();
const shapes = StateField.define({
  create: () => Decoration.none,
  update(held, transaction) {
    held = held.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (effect.is(setShapes)) {
        const end = transaction.newDoc.length;
        held = Decoration.set(effect.value.filter(({ at }) => at <= end).map(({ at, text }) => Decoration.widget({ widget: new Shape(text), side: 1 }).range(at)), true);
      }
    }
    return held;
  },
  provide: (field) => EditorView.decorations.from(field),
});

const colours = HighlightStyle.define([
  { tag: tags.lineComment, class: "tok-comment" },
  { tag: tags.string, class: "tok-string" },
  { tag: [tags.definitionKeyword, tags.controlKeyword, tags.operatorKeyword, tags.self], class: "tok-keyword" },
  { tag: [tags.labelName, tags.special(tags.variableName)], class: "tok-label" },
  { tag: [tags.standard(tags.name), tags.function(tags.variableName)], class: "tok-operator" },
  { tag: tags.attributeName, class: "tok-option" },
  { tag: [tags.number, tags.atom], class: "tok-number" },
  { tag: tags.definition(tags.typeName), class: "tok-definition" },
]);

const KINDS = { 3: "function", 6: "variable", 10: "property", 12: "constant", 14: "keyword", 17: "text", 21: "constant" };

/** Make the editor. `page` is told of edits, of the cursor, and asked for help. */
export function makeEditor(parent, text, page, nonce) {
  const completions = async (context) => {
    if (!context.explicit && !context.matchBefore(/[\w@.("=-]$/)) return null;
    const found = await page.ask("complete", { at: context.pos });
    if (!found?.items?.length || context.aborted) return null;
    return {
      from: Math.min(found.from, context.pos),
      options: found.items.map(({ label, detail, insert, kind }) => ({ label, detail, apply: insert, type: KINDS[kind] })),
      validFor: /^\w*$/,
    };
  };
  const hover = hoverTooltip(async (view, pos) => {
    const found = await page.ask("hover", { at: pos });
    if (!found?.markdown) return null;
    return { pos, create: () => ({ dom: h("div", { class: "hover" }, markdown(found.markdown)) }) };
  });
  return new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        EditorView.cspNonce.of(nonce),
        lineNumbers(),
        history(),
        drawSelection(),
        indentOnInput(),
        bracketMatching(),
        closeBrackets(),
        highlightActiveLine(),
        highlightSelectionMatches(),
        search({ top: true }),
        lintGutter(),
        arch(),
        syntaxHighlighting(colours),
        shapes,
        hover,
        autocompletion({ override: [completions] }),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "the network, as text" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) page.edited();
          if (update.docChanged || update.selectionSet) page.moved(update.state.selection.main.head);
        }),
        keymap.of([
          { key: "Mod-s", run: () => (page.save(), true), preventDefault: true },
          { key: "Shift-Alt-f", run: () => (page.format(), true) },
          ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap, indentWithTab,
        ]),
      ],
    }),
  });
}

/** Replace the whole text. */
export function setText(view, text) {
  view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: 0 } });
}

/** Apply the edits of a repair at once. */
export function applyEdits(view, edits) {
  const end = view.state.doc.length;
  if (edits.some(({ at }) => at[1] > end)) return;
  view.dispatch({ changes: edits.map(({ at, text }) => ({ from: at[0], to: at[1], insert: text })), userEvent: "input.repair" });
  view.focus();
}

export function showShapes(view, hints) {
  view.dispatch({ effects: setShapes.of(hints) });
}

/** Show errors and warnings in place, each with its repairs. */
export function showDiagnostics(view, found) {
  const end = view.state.doc.length;
  view.dispatch(
    setDiagnostics(
      view.state,
      found.map((each) => ({
        from: Math.min(each.at[0], end),
        to: Math.min(each.at[1], end),
        severity: each.severity,
        source: each.code,
        message: [each.message, ...each.notes].join("\n"),
        actions: each.repairs.slice(0, 4).map((repair) => ({ name: repair.what, apply: (editor) => applyEdits(editor, repair.edits) })),
      })),
    ),
  );
}
