"""Models behind an HTTP endpoint: anything OpenAI-compatible, and Anthropic."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from parallelbench.errors import UsageError
from parallelbench.models.base import Message
from parallelbench.models.generators.base import Generation, GeneratorSpec, Request, failed
from parallelbench.models.generators.http import Endpoint, EndpointError, Limits, WrongShape
from parallelbench.models.generators.secret import Secret, key_from
from parallelbench.settings import Value, format_setting

Answer = tuple[str, int | None]
"""Text, and the number of tokens where the endpoint tells it."""
OPERATIONAL = ("key_env", "concurrency", "retries", "timeout", "rpm")
"""Parameters that change how fast answers come, never which."""


@dataclass(frozen=True)
class Provider:
    """How one kind of endpoint is spoken to.

    Attributes:
        name: Row of the table of models.
        path: Appended to the base URL.
        home: Base URL of the provider itself, where a key is needed.
        headers: Headers beside the key's.
        key_header: Name and prefix of the key's header.
        body: (request, parameters) -> JSON to send.
        read: Parsed answer -> text and token count; raises WrongShape.
        defaults: Parameters with their defaults.
    """

    name: str
    path: str
    home: str
    headers: Mapping[str, str]
    key_header: tuple[str, str]
    body: Callable[[Request, Mapping[str, Value]], dict[str, Any]]
    read: Callable[[Any], Answer]
    defaults: Mapping[str, Value]


COMMON: Mapping[str, Value] = {
    "model": "", "url": "", "key_env": "", "temperature": 0.0, "concurrency": 4, "retries": 6, "timeout": 60.0,
    "rpm": 0.0,
}  # fmt: skip


def _openai_body(request: Request, parameters: Mapping[str, Value]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": parameters["model"],
        "messages": [dict(message) for message in request.messages],
        str(parameters["limit"]): request.max_tokens,
        "temperature": parameters["temperature"],
        "stream": False,
    }
    if parameters["send_seed"]:
        body["seed"] = request.seed % 2**31  # some servers hold it in 32 bits
    return body


def _openai_read(answer: Any) -> Answer:
    try:
        text = answer["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise WrongShape("the answer holds no choices[0].message.content") from None
    if text is not None and not isinstance(text, str):
        raise WrongShape("the answer's content is no text")
    return text or "", _count(answer, "completion_tokens")


def _anthropic_body(request: Request, parameters: Mapping[str, Value]) -> dict[str, Any]:
    system = "\n\n".join(message["content"] for message in request.messages if message["role"] == "system")
    turns: Sequence[Message] = [message for message in request.messages if message["role"] != "system"]
    return {
        "model": parameters["model"],
        "messages": [dict(message) for message in turns],
        "max_tokens": request.max_tokens,
        "temperature": parameters["temperature"],
        **({"system": system} if system else {}),
    }


def _anthropic_read(answer: Any) -> Answer:
    try:
        texts = [part["text"] for part in answer["content"] if part["type"] == "text"]
        return "".join(texts), _count(answer, "output_tokens")
    except (KeyError, TypeError):
        raise WrongShape("the answer holds no content texts") from None


def _count(answer: Any, key: str) -> int | None:
    usage = answer.get("usage")
    count = usage.get(key) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None


PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (
        Provider(
            "openai", "/chat/completions", "https://api.openai.com/v1", {}, ("Authorization", "Bearer "),
            _openai_body, _openai_read,
            {**COMMON, "key_env": "OPENAI_API_KEY", "limit": "max_tokens", "send_seed": True},
        ),
        Provider(
            "anthropic", "/v1/messages", "https://api.anthropic.com", {"anthropic-version": "2023-06-01"},
            ("x-api-key", ""), _anthropic_body, _anthropic_read, {**COMMON, "key_env": "ANTHROPIC_API_KEY"},
        ),
    )
}  # fmt: skip


class ApiGenerator:
    """A model behind an endpoint as a Generator."""

    def __init__(
        self, spec: GeneratorSpec, provider: Provider, parameters: Mapping[str, Value], endpoint: Endpoint, key: Secret
    ) -> None:
        self.spec, self._provider, self._parameters = spec, provider, parameters
        self._endpoint, self._key = endpoint, key

    def generate(self, requests: Iterable[Request], batch_size: int) -> Iterator[Generation]:
        """Answers as they come; in flight is what the endpoint's limits allow, whatever the batch size."""
        with ThreadPoolExecutor(self._endpoint.limits.concurrency) as pool:
            flying: set[Future[Generation]] = set()
            for request in requests:
                flying.add(pool.submit(self._answer, request))
                if len(flying) >= self._endpoint.limits.concurrency:
                    landed, flying = wait(flying, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in landed)
            while flying:
                landed, flying = wait(flying, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in landed)

    def _answer(self, request: Request) -> Generation:
        began = time.perf_counter()
        try:
            body = self._provider.body(request, self._parameters)
            text, tokens = self._endpoint.post(body, request.id, self._provider.read)
        except EndpointError as error:
            return failed(request, str(error), time.perf_counter() - began)
        # an endpoint that counts no tokens is taken to have used what it was allowed
        count = tokens or request.max_tokens
        seconds = time.perf_counter() - began
        return Generation(request.id, self._key.remove(text), (), count, count, seconds)


def load_api(name: str, parameters: Mapping[str, Value]) -> ApiGenerator:
    """The generator of `openai:model=...` or `anthropic:model=...`.

    Raises:
        UsageError: no model, a bad URL or limit, or no key where the provider itself is asked.
    """
    provider = PROVIDERS[name]
    if not parameters["model"]:
        raise UsageError(f"{name} needs the model's name, e.g. {name}:model=NAME.")
    url = str(parameters["url"]) or provider.home
    numbers = {key: parameters[key] for key in ("temperature", "concurrency", "retries", "timeout", "rpm")}
    for number_name, value in numbers.items():
        if isinstance(value, str | bool) or value < 0:
            raise UsageError(f"{name}: {number_name} must be a number of at least 0.")
    limits = Limits(
        int(numbers["concurrency"]), int(numbers["retries"]), float(numbers["timeout"]), float(numbers["rpm"])
    )
    key = key_from(str(parameters["key_env"]), needed=url == provider.home)
    endpoint = Endpoint(url.rstrip("/") + provider.path, provider.headers, provider.key_header, key, limits)
    told = {k: v for k, v in parameters.items() if k not in OPERATIONAL and v != provider.defaults[k]}
    spec = GeneratorSpec(key.remove(format_setting(name, told)), "api")
    return ApiGenerator(spec, provider, {**parameters, "model": str(parameters["model"])}, endpoint, key)
