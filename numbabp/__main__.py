"""`python -m numbabp` is the command line."""

from .cli import main

main()
