-- Start the language server of archc in Neovim. `require("archc").setup()` in init.lua; options: { command = { "archc", "lsp" } }.
local M = {}

local function root(path)
  local folder = vim.fn.fnamemodify(path, ":p:h")
  local found = vim.fn.finddir(".git", folder .. ";")
  return found ~= "" and vim.fn.fnamemodify(found, ":p:h:h") or folder
end

local function start(options, buffer)
  local config = { name = "archc", cmd = options.command, root_dir = root(vim.api.nvim_buf_get_name(buffer)) }
  if vim.lsp.start then -- Neovim 0.8 and newer
    vim.lsp.start(config, { bufnr = buffer })
    return
  end
  M.clients = M.clients or {}
  local client = M.clients[config.root_dir]
  if client == nil or vim.lsp.client_is_stopped(client) then
    client = vim.lsp.start_client(config)
    M.clients[config.root_dir] = client
  end
  if client then
    vim.lsp.buf_attach_client(buffer, client)
  end
end

function M.setup(options)
  M.options = vim.tbl_extend("force", { command = { "archc", "lsp" } }, options or {})
  M.start = function(buffer)
    start(M.options, buffer)
  end
  vim.cmd([[augroup archc
    autocmd!
    autocmd FileType arch lua require("archc").start(tonumber(vim.fn.expand("<abuf>")))
  augroup END]])
end

return M
