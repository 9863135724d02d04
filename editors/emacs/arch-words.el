;;; arch-words.el --- Words of the language of archc  -*- lexical-binding: t -*-

;; Made by editors/build.py from ui/highlighting/table.py: change these, and run it.

;;; Code:

(defconst arch-words-structure
  '("use" "arch" "input" "output" "default" "block" "share" "let" "next" "expect"))

(defconst arch-words-control
  '("for" "in" "with" "if" "else" "within" "and" "or" "not"))

(defconst arch-words-declaring
  '("arch" "block" "share" "let" "next"))

(defconst arch-words-operators
  '("abs" "adaptive_avgpool" "adaptive_maxpool" "add" "attention" "avgpool" "bernoulli" "bn" "celu" "channel_fc" "channel_shuffle" "clamp" "concat" "conv" "convt" "cos" "crop" "distances" "div" "dropout" "elu" "embedding" "exp" "expand" "fc" "fixed" "flatten" "flip" "fold" "gain" "gather" "gelu" "glu" "grn" "group_norm" "gru" "hardshrink" "hardsigmoid" "hardswish" "hardtanh" "hole" "instance_norm" "l2_norm" "layer_norm" "layer_scale" "leaky_relu" "learned" "log" "log_softmax" "logsigmoid" "lrn" "lstm" "map" "matmul" "max" "maxpool" "mean" "min" "mish" "mul" "multihead_attention" "neg" "normal_noise" "pad" "pixel_shuffle" "pooled_attention" "pow" "prelu" "rbf" "rearrange" "reduce_max" "reduce_mean" "reduce_min" "reduce_norm" "reduce_sum" "reduce_var" "relu" "relu6" "rms_norm" "roll" "rotary" "rotary_positions" "rrelu" "scale" "scaled_tanh" "selu" "shift" "shift_mask" "sigmoid" "silu" "sin" "sine_positions" "slice" "softmax" "softmin" "softplus" "softshrink" "softsign" "space_to_depth" "sqrt" "square" "stack" "stochastic_depth" "sub" "subsample" "tanh" "tanhshrink" "threshold" "token" "tokens" "transpose" "unfold" "upsample" "window_attention"))

(defconst arch-words-values
  '("always" "batch" "bicubic" "bilinear" "circular" "constant" "continuous" "cosine" "dot" "he_normal" "he_uniform" "linear" "mean" "nearest" "no" "none" "normal" "plain" "qkv" "reflect" "replicate" "row" "same" "scaled" "spatial" "spectral" "standardized" "sum" "table" "tanh" "to_qkv" "torch" "training" "trunc_normal" "uniform" "xavier_normal" "xavier_uniform" "yes" "zeros"))

(provide 'arch-words)
;;; arch-words.el ends here
