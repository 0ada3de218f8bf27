"""JSON over HTTP to an endpoint that may fail: retries with back-off, rate limits, bounded answers."""

import email.utils
import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from parallelbench.errors import UsageError
from parallelbench.models.generators.secret import Secret

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
ANSWER_LIMIT = 8 << 20
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
LONGEST_ADVICE = 600.0
"""A Retry-After beyond this is not waited for."""


class EndpointError(RuntimeError):
    """A request that got no usable answer; its text is safe to show."""


@dataclass(frozen=True)
class Limits:
    """How hard an endpoint may be asked.

    Attributes:
        concurrency: Requests in flight.
        retries: Further attempts after a failure that may pass.
        timeout: Seconds for one attempt.
        per_minute: Requests started a minute, 0 for no limit.
    """

    concurrency: int = 4
    retries: int = 6
    timeout: float = 60.0
    per_minute: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not (1 <= self.concurrency <= 256 and 0 <= self.retries <= 50 and self.timeout > 0 and self.per_minute >= 0):
            raise UsageError(
                "Allowed: concurrency from 1 to 256, retries from 0 to 50, timeout above 0, rpm of at least 0."
            )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Endpoint:
    """One URL that takes JSON and gives JSON.

    Args:
        url: http or https, without user, query or fragment.
        headers: Headers without the key.
        key_header: (name, prefix) of the header that carries the key.
        key: The key, maybe empty.
        limits: See `Limits`.
        wait: Sleeps; tests replace it.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        key_header: tuple[str, str],
        key: Secret,
        limits: Limits,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        check_url(url)
        self.url, self.limits, self._key, self._wait = url, limits, key, wait
        self._headers = {"Content-Type": "application/json", "Accept": "application/json", **headers}
        self._key_header = key_header
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._lock = threading.Lock()
        self._next_start = 0.0

    def post(self, body: Mapping[str, Any], id: str, read: Callable[[Any], Any]) -> Any:
        """The answer as `read` makes it, after as many attempts as the limits allow.

        Args:
            body: JSON to send.
            id: Idempotency key: an endpoint that knows it bills a repeated request once.
            read: Turns the parsed answer into what is wanted; raises on an answer of the wrong shape.

        Raises:
            EndpointError: refused, or still failing after the last attempt.
        """
        data = json.dumps(body).encode()
        jitter = random.Random(id)
        for attempt in range(self.limits.retries + 1):
            self._take_turn()
            try:
                return read(self._once(data, id))
            except _Transient as error:
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt) * (0.5 + jitter.random() / 2)
                advice = error.advice
                if attempt == self.limits.retries or (advice or 0) > LONGEST_ADVICE:
                    raise EndpointError(f"{error} (after {attempt + 1} attempts)") from None
                if advice is not None:
                    self._hold_everyone(advice)
                self._wait(max(pause, advice or 0.0))
        raise AssertionError("unreachable")

    def _take_turn(self) -> None:
        """Wait until the rate limit, and the endpoint's own advice, allow another request."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next_start)
            if self.limits.per_minute:
                self._next_start = start + 60 / self.limits.per_minute
        if start > now:
            self._wait(start - now)

    def _hold_everyone(self, seconds: float) -> None:
        with self._lock:
            self._next_start = max(self._next_start, time.monotonic() + seconds)

    def _once(self, data: bytes, id: str) -> Any:
        """One attempt."""
        headers = {**self._headers, "Idempotency-Key": id}
        if self._key:
            name, prefix = self._key_header
            headers[name] = prefix + self._key.reveal()
        request = urllib.request.Request(self.url, data, headers)
        deadline = time.monotonic() + self.limits.timeout
        try:
            with self._opener.open(request, timeout=self.limits.timeout) as response:
                raw = _bounded(response, deadline)
        except urllib.error.HTTPError as error:
            raise self._refusal(error, deadline) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise _Transient(self._key.hide(f"no answer: {type(reason).__name__}")) from None
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            raise _Transient("the answer is no JSON") from None

    def _refusal(self, error: urllib.error.HTTPError, deadline: float) -> Exception:
        """What an HTTP status means: try again, or give up with the endpoint's own words (keys removed)."""
        with error:
            try:
                detail = _complaint(_bounded(error, deadline))
            except (_Transient, OSError, http.client.HTTPException):
                detail = ""
        text = self._key.hide(f"HTTP {error.code}{detail}")
        if error.code in TRANSIENT:
            return _Transient(text, retry_after(error.headers.get("Retry-After")))
        return EndpointError(text)


class _Transient(Exception):
    """A failure that may pass; `advice` is how many seconds the endpoint asks to wait."""

    def __init__(self, text: str, advice: float | None = None) -> None:
        super().__init__(text)
        self.advice = advice


class WrongShape(_Transient):
    """Raised by a `read` for JSON that is no answer."""


def check_url(url: str) -> None:
    """Refuse a URL that could carry a secret or leave HTTP; it is not repeated in the message.

    Raises:
        UsageError: no plain http(s) URL.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("The endpoint's url must begin with http:// or https:// and name a host.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError("The endpoint's url must hold no user, password, query or fragment; keys go into key_env.")


def retry_after(text: str | None) -> float | None:
    """Seconds of a Retry-After header: a number or a date; None when there is none."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _bounded(response: Any, deadline: float) -> bytes:
    """The body, unless it is too large or drips beyond the deadline."""
    parts, size = [], 0
    while part := response.read1(1 << 16):
        size += len(part)
        parts.append(part)
        if size > ANSWER_LIMIT:
            raise _Transient("the answer is too large")
        if time.monotonic() > deadline:
            raise _Transient("no answer: TimeoutError")
    expected = response.headers.get("Content-Length")
    if expected and expected.isdigit() and size < int(expected):
        raise _Transient("no answer: the connection was cut")
    return b"".join(parts)


def _complaint(raw: bytes) -> str:
    """The message of an error answer, shortened."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    error = value.get("error", value.get("message")) if isinstance(value, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return f": {message[:200]}" if isinstance(message, str) and message else ""
