"""`python -m kanslib` is `kans`."""

from kanslib.cli import main

main()
