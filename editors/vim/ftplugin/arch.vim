" Settings of .arch files for Vim and Neovim.
if exists("b:did_ftplugin")
  finish
endif
let b:did_ftplugin = 1

setlocal commentstring=#\ %s comments=:# formatoptions-=t
setlocal expandtab shiftwidth=2 softtabstop=2 textwidth=0
setlocal matchpairs+=<:>
" `:make` checks the file and fills the quickfix list.
setlocal makeprg=archc\ check\ --color\ never\ %
setlocal errorformat=%Eerror[%*[^]]]:\ %m,%Wwarning[%*[^]]]:\ %m,%C\ %#-->\ %f:%l:%c,%-G%.%#

let b:undo_ftplugin = "setlocal commentstring< comments< formatoptions< expandtab< shiftwidth< softtabstop< textwidth< matchpairs< makeprg< errorformat<"
