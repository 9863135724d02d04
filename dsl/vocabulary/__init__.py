"""The vocabulary of errors: one function per code, whose docstring is the page that `archc explain CODE` prints."""

from archc.dsl.vocabulary import claims, files, names, shapes, syntax, values, warnings

__all__ = ["claims", "files", "names", "shapes", "syntax", "values", "warnings"]
