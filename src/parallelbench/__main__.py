"""`python -m parallelbench`: the command `pb` where its script is not on the path."""

from parallelbench.cli.main import run_app

run_app()
