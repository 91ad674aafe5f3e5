"""`python -m cli` is `es-ranking`."""

from cli.main import run

run()
