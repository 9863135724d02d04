;;; arch-mode.el --- Major mode for .arch files, networks as text  -*- lexical-binding: t -*-

;; Package-Requires: ((emacs "27.1"))

;;; Commentary:

;; Colours, comments and indentation for the language of archc, and its language server with Eglot, which Emacs has from 29 on.
;;
;;     (add-to-list 'load-path "/path/to/editors/emacs")
;;     (require 'arch-mode)
;;     (add-hook 'arch-mode-hook #'eglot-ensure)

;;; Code:

(require 'arch-words)

(defgroup arch nil "Networks as text." :group 'languages)

(defcustom arch-indent-offset 2 "Columns by which the content of brackets is indented." :type 'integer :safe #'integerp)

(defcustom arch-server-command '("archc" "lsp") "The command that starts the language server." :type '(repeat string))

(defconst arch-mode--before "\\(?:^\\|[^A-Za-z0-9_.@]\\)")

(defun arch-mode--words (words)
  "Return an expression whose first group is one of WORDS, as a whole word that is no label and no option."
  (concat arch-mode--before "\\(" (regexp-opt words) "\\)\\_>"))

(defconst arch-mode--font-lock
  `(("@\\.?[A-Za-z0-9_]+\\(?:\\.[A-Za-z0-9_]+\\)*" . font-lock-variable-name-face)
    (,(concat arch-mode--before "\\([A-Za-z0-9_]+\\(?:-[A-Za-z0-9_]+\\)*\\)\\(?:{[^{}\n]*}\\(?:-{[^{}\n]*}\\)?\\)?[ \t]*:")
     1 font-lock-preprocessor-face)
    (,(concat "\\_<" (regexp-opt arch-words-declaring) "[ \t]+\\([A-Za-z_][A-Za-z0-9_]*\\)") 1 font-lock-type-face)
    (,(arch-mode--words arch-words-structure) 1 font-lock-keyword-face)
    (,(concat arch-mode--before "\\(in\\)\\.[cdhw]") 1 font-lock-builtin-face)
    (,(arch-mode--words arch-words-control) 1 font-lock-keyword-face)
    (,(concat arch-mode--before "\\([A-Za-z_][A-Za-z0-9_]*\\)[ \t]*=\\(?:[^=>]\\|$\\)") 1 font-lock-variable-name-face)
    (,(concat arch-mode--before "\\(" (regexp-opt arch-words-operators)
              "\\)\\([0-9]+\\(?:x[0-9]+\\)*\\)?\\(?:[^A-Za-z0-9_]\\|$\\)")
     1 font-lock-function-name-face)
    (,(arch-mode--words arch-words-values) 1 font-lock-constant-face))
  "Rules of colour, the first that matches a character wins.")

(defvar arch-mode-syntax-table
  (let ((table (make-syntax-table)))
    (modify-syntax-entry ?# "<" table)
    (modify-syntax-entry ?\n ">" table)
    (modify-syntax-entry ?\" "\"" table)
    (modify-syntax-entry ?_ "_" table)
    (modify-syntax-entry ?| "." table)
    table)
  "Comments, strings and brackets of .arch files.")

(defun arch-mode-indent-line ()
  "Indent the line by the brackets that are open before it."
  (interactive)
  (let* ((depth (save-excursion
                  (back-to-indentation)
                  (let ((closing (looking-at "[])}>]")))
                    (- (car (syntax-ppss)) (if closing 1 0)))))
         (column (* arch-indent-offset (max depth 0))))
    (if (<= (current-column) (current-indentation))
        (indent-line-to column)
      (save-excursion (indent-line-to column)))))

;;;###autoload
(define-derived-mode arch-mode prog-mode "Arch"
  "Major mode for networks as text."
  (setq-local comment-start "# ")
  (setq-local comment-start-skip "#+[ \t]*")
  (setq-local indent-tabs-mode nil)
  (setq-local indent-line-function #'arch-mode-indent-line)
  (setq-local font-lock-defaults '(arch-mode--font-lock nil t)))

;;;###autoload
(add-to-list 'auto-mode-alist '("\\.arch\\'" . arch-mode))

(defvar eglot-server-programs)
(with-eval-after-load 'eglot
  (add-to-list 'eglot-server-programs (cons 'arch-mode (lambda (&rest _) arch-server-command))))

(provide 'arch-mode)
;;; arch-mode.el ends here
