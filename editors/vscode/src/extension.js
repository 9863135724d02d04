// The client of the language server, and a panel beside the text with the picture of the network.
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");
const { page } = require("./page");

let client;
const panels = new Map(); // uri -> panel

async function activate(context) {
  await start();
  context.subscriptions.push(
    vscode.commands.registerCommand("archc.preview", preview),
    vscode.commands.registerCommand("archc.restart", async () => {
      await deactivate();
      await start();
    }),
    vscode.workspace.onDidChangeTextDocument(({ document }) => redrawSoon(document.uri)),
  );
}

async function start() {
  const [command, ...args] = vscode.workspace.getConfiguration("archc").get("command", ["archc", "lsp"]);
  client = new LanguageClient(
    "archc",
    "archc",
    { command, args },
    { documentSelector: [{ language: "arch" }], middleware: { executeCommand } },
  );
  try {
    await client.start();
  } catch (error) {
    const help = "The language server did not start. Install it with `pip install 'archc[lsp]'`, or set `archc.command`.";
    vscode.window.showErrorMessage(`${help} (${error.message})`);
  }
}

// The commands of lenses and actions return what is to be shown: the picture, or the expanded text.
async function executeCommand(command, args, next) {
  if (command === "archc.draw") return preview();
  const result = await next(command, args);
  if (command === "archc.expand" && result) {
    const document = await vscode.workspace.openTextDocument({ language: "arch", content: result });
    await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preview: true });
  }
  return result;
}

async function deactivate() {
  const stopping = client;
  client = undefined;
  if (stopping?.isRunning()) await stopping.stop();
}

async function preview() {
  const document = vscode.window.activeTextEditor?.document;
  if (document?.languageId !== "arch") return;
  const key = document.uri.toString();
  let panel = panels.get(key);
  if (panel === undefined) {
    const title = document.uri.path.split("/").pop();
    panel = vscode.window.createWebviewPanel("archc", title, { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true }, {});
    panel.onDidDispose(() => panels.delete(key));
    panels.set(key, panel);
  } else {
    panel.reveal(undefined, true);
  }
  await redraw(document.uri);
}

let timer;
function redrawSoon(uri) {
  if (!panels.has(uri.toString())) return;
  clearTimeout(timer);
  timer = setTimeout(() => redraw(uri), 300);
}

// While a text has errors, the picture of its last right form stays.
async function redraw(uri) {
  const panel = panels.get(uri.toString());
  if (panel === undefined || client === undefined) return;
  const svg = await client.sendRequest("workspace/executeCommand", { command: "archc.draw", arguments: [uri.toString()] });
  if (svg) panel.webview.html = page(svg);
}

module.exports = { activate, deactivate };
