"""The vocabulary of errors: one function per code, whose docstring is the page that `archc explain CODE` prints."""

from archc.dsl.vocabulary import attention, claims, files, graph_warnings, loops, names, shapes, syntax, text_warnings, values

__all__ = ["attention", "claims", "files", "graph_warnings", "loops", "names", "shapes", "syntax", "text_warnings", "values"]
