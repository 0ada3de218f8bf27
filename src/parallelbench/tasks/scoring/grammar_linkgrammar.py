"""Grammar backend `linkgrammar`: Debian's `link-grammar` parser, a second opinion on word order.

A sentence is faulty when no parse takes in all of its words ("null count" above 0).
"""

import os
import re
import shutil
import subprocess
import threading

from parallelbench.errors import JudgeError, UsageError

PROGRAM = "link-parser"
SECONDS = 5
"""Time a sentence may take before the parser gives up on it."""
_DONE = "verbosity set to 1"
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\"'“‘(]?[A-Z0-9])")


class LinkGrammar:
    """One parser process, kept open; calls are serialised.

    Raises:
        UsageError: the program is not installed.
    """

    name = "linkgrammar"

    def __init__(self) -> None:
        program, unbuffered = shutil.which(PROGRAM), shutil.which("stdbuf")
        if program is None or unbuffered is None:
            missing = PROGRAM if program is None else "stdbuf"
            raise UsageError(
                f"The grammar backend 'linkgrammar' needs {missing}: apt-get install link-grammar coreutils"
            )
        told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
        number = re.search(r"link-grammar-(\S+)", told.stdout + told.stderr)
        self.version = number[1] if number else "unknown"
        # Into a pipe the parser answers in blocks of 4 KiB unless it is told to answer line by line.
        self._command, self._lock = [unbuffered, "-oL", program, "en"], threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def faults(self, text: str, allowed: frozenset[str]) -> list[str]:
        """Sentences that do not parse, a phrase each; unknown words are guessed, so `allowed` plays no part.

        Raises:
            JudgeError: the program stopped.
        """
        with self._lock:
            return [fault for sentence in _SENTENCE.split(text) if (fault := self._fault(sentence))]

    def close(self) -> None:
        """End the parser process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _fault(self, sentence: str) -> str:
        # A first character such as ! or % would make the line a command or a comment.
        line = " ".join(sentence.split()).lstrip("!%* ")
        if not line:
            return ""
        answer = self._ask(line)
        nulls = [int(count) for count in re.findall(r"at null count (\d+)", answer)]
        if "Found" in answer and not nulls:
            return ""
        return f"{min(nulls)} words do not fit: {line:.60}" if nulls else f"no parse: {line:.60}"

    def _ask(self, line: str) -> str:
        """The parser's lines about one sentence, up to its echo of a harmless command."""
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        answer = []
        try:
            process.stdin.write(f"{line}\n!verbosity=1\n")
            process.stdin.flush()
            while not (said := process.stdout.readline()).startswith(_DONE):
                if not said:
                    raise OSError("it stopped")
                answer.append(said)
        except OSError as error:
            self.close()
            raise JudgeError(f"{PROGRAM}: {error}") from error
        return "".join(answer)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            options = ["-graphics=0", f"-timeout={SECONDS}", "-limit=10", "-spell=0"]
            self._process = subprocess.Popen(
                [*self._command, *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
        return self._process
