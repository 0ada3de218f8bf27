"""Grammar backend `languagetool`: a LanguageTool server over its HTTP protocol, remote or started from a jar.

`GET /v2/languages` answers when the server is up; `POST /v2/check` with `language` and `text` answers
`{"software": {"version"}, "matches": [{"message", "offset", "length", "rule": {"id", "category": {"id"}}}]}`.
As in ParallelBench any match is a fault, except a misspelling of a name or of the prompt's words.
"""

import atexit
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from parallelbench.errors import JudgeError, UsageError
from parallelbench.tasks.scoring.words import tokens

LANGUAGE = "en-US"
TIMEOUT = 10.0
START_SECONDS = 60.0
_SERVER_CLASS = "org.languagetool.server.HTTPServer"


class LanguageTool:
    """A LanguageTool server behind the protocol `Grammar`.

    Args:
        url: Where a server listens, e.g. `http://127.0.0.1:8010`.
        jar: Or a `languagetool-server.jar` (Java needed): a server is started and ends with this process.
        timeout: Seconds a request may take.

    Raises:
        UsageError: neither or both of url and jar, no Java, or no LanguageTool server answers.
    """

    name = "languagetool"

    def __init__(self, url: str = "", jar: str = "", timeout: float = TIMEOUT) -> None:
        if bool(url) == bool(jar):
            raise UsageError(
                "The grammar backend 'languagetool' needs a server: languagetool:url=http://HOST:PORT, "
                "or languagetool:jar=PATH of languagetool-server.jar."
            )
        if isinstance(timeout, str | bool) or not timeout > 0:
            raise UsageError(f"languagetool: timeout={timeout} is not allowed; it is a number of seconds above 0.")
        if url and not str(url).startswith(("http://", "https://")):
            raise UsageError(f"languagetool: url={url} is not allowed; it begins with http:// or https://.")
        self._timeout = float(timeout)
        self._url = str(url).rstrip("/") if url else self._start(Path(str(jar)))
        try:
            self.version = str(self._check("This is a test.")["software"]["version"])
        except (JudgeError, KeyError, TypeError) as error:
            raise UsageError(f"No LanguageTool server answers at {self._url}: {error}.") from error

    def faults(self, text: str, allowed: frozenset[str]) -> list[str]:
        """What the server finds, a phrase each; `allowed` words (lower case) are never misspelt.

        Raises:
            JudgeError: the server does not answer in time, or not with matches.
        """
        answer = self._check(text)
        # Offsets count UTF-16 units, as in Java.
        units = text.encode("utf-16-le", "replace")
        faults = []
        try:
            for match in answer["matches"]:
                start, length = int(match["offset"]), int(match["length"])
                word = units[2 * start : 2 * (start + length)].decode("utf-16-le", "replace")
                typo = match["rule"]["category"]["id"] == "TYPOS"
                if not (typo and allowed.issuperset(tokens(word))):
                    faults.append(f"{word!r}: {match['message']}")
        except (KeyError, TypeError, ValueError) as error:
            raise JudgeError(f"languagetool at {self._url}: unexpected answer ({error!r})") from error
        return faults

    def _check(self, text: str) -> Any:
        fields = {"language": LANGUAGE, "text": text.encode("utf-8", "replace")}
        return self._request("/v2/check", urllib.parse.urlencode(fields).encode())

    def _request(self, path: str, body: bytes | None = None) -> Any:
        try:
            with urllib.request.urlopen(self._url + path, body, self._timeout) as response:
                return json.load(response)
        except (OSError, HTTPException, ValueError) as error:
            reason = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else str(error)
            raise JudgeError(f"languagetool at {self._url}: {reason}") from error

    def _start(self, jar: Path) -> str:
        """Start a server from a jar on a free port; its address once it answers."""
        java = shutil.which("java")
        if java is None:
            raise UsageError("languagetool: a jar needs Java: apt-get install default-jre-headless")
        if not jar.is_file():
            raise UsageError(f"languagetool: there is no jar {jar}.")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [java, "-cp", str(jar), _SERVER_CLASS, "--port", str(port)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(server.wait)
        atexit.register(server.terminate)  # runs before wait
        self._url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while server.poll() is None and time.monotonic() < deadline:
            try:
                self._request("/v2/languages")
                return self._url
            except JudgeError:
                time.sleep(0.2)
        server.terminate()
        raise UsageError(f"languagetool: the server of {jar} did not start.")
