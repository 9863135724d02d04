-- What somebody does in Neovim: open a file, see the error, take the fix, see the shapes. The results go to the file OUT as JSON.
local seen = {}
local patience = 30000

local function finish()
  vim.fn.writefile({ vim.fn.json_encode(seen) }, vim.env.OUT)
  vim.cmd("qall!")
end

local function await(what, condition)
  if not vim.wait(patience, condition, 20) then
    seen.failed = what
    finish()
  end
end

local function request(method, params)
  local answers = vim.lsp.buf_request_sync(0, method, params, patience)
  for _, answer in pairs(answers or {}) do
    if answer.error then
      seen.error = answer.error
    end
    return answer.result
  end
end

require("archc").setup({ command = vim.fn.json_decode(vim.env.SERVER) })
vim.cmd("edit " .. vim.env.FILE)
vim.cmd("setfiletype arch")
await("the client", function()
  return next(vim.lsp.buf_get_clients(0)) ~= nil
end)
await("the error", function()
  return #vim.diagnostic.get(0) > 0
end)
local found = vim.diagnostic.get(0)[1]
seen.message, seen.line, seen.column, seen.stop = found.message, found.lnum, found.col, found.end_col

vim.api.nvim_win_set_cursor(0, { found.lnum + 1, found.col })
local params = vim.lsp.util.make_range_params()
params.context = { diagnostics = {}, only = { "quickfix" } }
local actions = request("textDocument/codeAction", params)
seen.actions = vim.tbl_map(function(action)
  return action.title
end, actions)
vim.lsp.util.apply_workspace_edit(actions[1].edit, "utf-16")
await("the error to go", function()
  return #vim.diagnostic.get(0, { severity = vim.diagnostic.severity.ERROR }) == 0
end)
seen.text = vim.api.nvim_buf_get_lines(0, 0, -1, false)

-- This Neovim shows no hints by itself, so they are shown as its successors do: as virtual text.
local space = vim.api.nvim_create_namespace("hints")
local document = vim.lsp.util.make_text_document_params()
local whole = { start = { line = 0, character = 0 }, ["end"] = { line = vim.api.nvim_buf_line_count(0), character = 0 } }
for _, hint in ipairs(request("textDocument/inlayHint", { textDocument = document, range = whole })) do
  vim.api.nvim_buf_set_extmark(0, space, hint.position.line, 0, { virt_text = { { hint.label, "Comment" } } })
end
seen.hints = {}
for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { details = true })) do
  table.insert(seen.hints, { mark[2], mark[4].virt_text[1][1] })
end

local position = { textDocument = document, position = { line = 2, character = 2 } }
seen.hover = request("textDocument/hover", position).contents.value
seen.defined = request("textDocument/definition", { textDocument = document, position = { line = 4, character = 2 } })
finish()
