"""`python -m shplan`."""

from shplan.cli.main import run

run()
