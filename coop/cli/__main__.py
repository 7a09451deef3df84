"""Lets `python -m coop.cli` do what the `coop` script does."""

from coop.cli import main

main()
