"""`python -m numbabp` is the command line."""

from .cli.app import main

main()
