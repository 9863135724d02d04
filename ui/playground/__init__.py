"""What the page of the playground asks of the compiler, as JSON: checks, pictures, tables, and help while typing."""
