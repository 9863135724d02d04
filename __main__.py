"""`python -m archc`: the command line."""

from archc.cli import main

main()
