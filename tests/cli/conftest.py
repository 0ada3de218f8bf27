import re

import pytest
from typer.testing import CliRunner

from parallelbench.cli.main import app


class Done:
    """What a command left: exit code, stdout, and stderr as one line without frames."""

    def __init__(self, result):
        self.code, self.out, self.raw_err = result.exit_code, result.stdout, result.stderr
        self.err = re.sub(r"[\s│─╭╮╰╯]+", " ", result.stderr)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception


@pytest.fixture
def pb(tmp_path, monkeypatch):
    """Run a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: Done(CliRunner().invoke(app, list(map(str, words)), prog_name="pb"))


@pytest.fixture
def refused(pb):
    """Run a command that must be refused: exit code 2, nothing on stdout, a reason on stderr."""

    def run(*words):
        done = pb(*words)
        assert done.code == 2, done.raw_err
        assert done.out == ""
        assert "Traceback" not in done.err
        return done.err

    return run
