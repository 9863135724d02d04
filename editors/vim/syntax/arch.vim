" Made by editors/build.py from ui/highlighting/table.py: change these, and run it.
" Highlighting of .arch files: https://vimhelp.org/syntax.txt.html
if exists("b:current_syntax")
  finish
endif

let s:before = '\%([A-Za-z0-9_.@]\)\@1<!'
syntax case match
syntax iskeyword @,48-57,_

" What is defined later wins, so the general comes before the special.
execute 'syntax match archName /' . s:before . '[A-Za-z_]\w*/'
execute 'syntax match archCall /' . s:before . '[A-Za-z_]\w*\ze[(<]/'
syntax match archNumber /\<\d[0-9_]*\%(\.\d\+\)\?\%([eE][+-]\?\d\+\|[KMG]\)\?/
syntax match archNumber /\<\d[0-9_]*\%(x\%(\d[0-9_]*\|[A-Z]\w*\)\)\+/
syntax match archSymbol /=>\|[-+*\/%=<>|.]/
execute 'syntax match archValue /' . s:before . '\%(xavier_uniform\|xavier_normal\|standardized\|trunc_normal\|continuous\|he_uniform\|he_normal\|replicate\|bilinear\|circular\|constant\|spectral\|training\|bicubic\|nearest\|reflect\|spatial\|uniform\|always\|cosine\|linear\|normal\|scaled\|to_qkv\|batch\|plain\|table\|torch\|zeros\|mean\|none\|same\|tanh\|dot\|qkv\|row\|sum\|yes\|no\)\>/'
syntax case ignore
execute 'syntax match archOperator /' . s:before . '\%(multihead_attention\|adaptive_avgpool\|adaptive_maxpool\|pooled_attention\|rotary_positions\|stochastic_depth\|window_attention\|channel_shuffle\|sine_positions\|space_to_depth\|instance_norm\|pixel_shuffle\|normal_noise\|hardsigmoid\|layer_scale\|log_softmax\|reduce_mean\|reduce_norm\|scaled_tanh\|channel_fc\|group_norm\|hardshrink\|layer_norm\|leaky_relu\|logsigmoid\|reduce_max\|reduce_min\|reduce_sum\|reduce_var\|shift_mask\|softshrink\|tanhshrink\|attention\|bernoulli\|distances\|embedding\|hardswish\|rearrange\|subsample\|threshold\|transpose\|hardtanh\|rms_norm\|softplus\|softsign\|upsample\|avgpool\|dropout\|flatten\|l2_norm\|learned\|maxpool\|sigmoid\|softmax\|softmin\|concat\|expand\|gather\|matmul\|rotary\|square\|tokens\|unfold\|clamp\|convt\|fixed\|prelu\|relu6\|rrelu\|scale\|shift\|slice\|stack\|token\|celu\|conv\|crop\|flip\|fold\|gain\|gelu\|hole\|lstm\|mean\|mish\|relu\|roll\|selu\|silu\|sqrt\|tanh\|abs\|add\|cos\|div\|elu\|exp\|glu\|grn\|gru\|log\|lrn\|map\|max\|min\|mul\|neg\|pad\|pow\|rbf\|sin\|sub\|bn\|fc\)\ze\%(\d\+\%(x\d\+\)*\)\?\%([^A-Za-z0-9_]\|$\)/ nextgroup=archShort'
syntax case match
syntax match archShort /\d\+\%(x\d\+\)*/ contained
execute 'syntax match archOption /' . s:before . '[A-Za-z_]\w*\ze\s*=[=>]\@!/'
execute 'syntax match archStructure /' . s:before . '\%(default\|expect\|output\|block\|input\|share\|arch\|next\|let\|use\)\>\%(\s*=\)\@!/'
execute 'syntax match archControl /' . s:before . '\%(within\|else\|with\|for\|if\|in\)\>\%(\s*=\)\@!/'
execute 'syntax match archLogic /' . s:before . '\%(and\|not\|or\)\>\%(\s*=\)\@!/'
execute 'syntax match archVariable /' . s:before . 'in\ze\.[cdhw]/'
syntax match archDefinition /\%(\<\%(block\|share\|arch\|next\|let\)\s\+\)\@<=[A-Za-z_]\w*/
execute 'syntax match archLabel /' . s:before . '\[\@1<!\w\+\%(-\w\+\)*\ze\%({[^{}]*}\%(-{[^{}]*}\)\?\)\?\s*:/'
syntax match archReference /@\.\?\w\+\%(\.\w\+\)*/
syntax match archString /"[^"]*"/
syntax match archComment /#.*/ contains=@Spell

highlight default link archComment Comment
highlight default link archString String
highlight default link archReference Identifier
highlight default link archLabel Label
highlight default link archStructure Statement
highlight default link archDefinition Type
highlight default link archControl Conditional
highlight default link archLogic Operator
highlight default link archOption Identifier
highlight default link archOperator Function
highlight default link archShort Number
highlight default link archValue Constant
highlight default link archCall Function
highlight default link archNumber Number
highlight default link archVariable Identifier
highlight default link archSymbol Operator

let b:current_syntax = "arch"
