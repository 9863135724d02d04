"""The language server, `archc lsp`: a file for each family of features. It imports the library, and nothing imports it but its verb."""
