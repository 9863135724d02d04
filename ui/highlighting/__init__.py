"""Highlighting of `.arch` texts: the words and rules that every editor is given, and a lexer for Pygments."""
