"""One line of the input: a request, or a refusal that says what is wrong with it, and where."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias
from urllib.parse import urlsplit

from runtime.bulk.chat_shape import conversation_of
from runtime.bulk.extra_body import extra_body_of
from runtime.errors import InvalidRequest
from runtime.explicit import classes_of
from runtime.messages import ModelRequest
from runtime.shapes import fields as kinds
from runtime.shapes.fields import Faults, Fields
from runtime.shapes.tool_shape import choice_of, form_of, reasoning_of, tools_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LineId: TypeAlias = "str | int | None"

DIALECTS: Mapping[str, str] = {  # endpoint -> the dialect that is spoken there
    "responses": "openai_responses",
    "chat": "openai_chat",
    "messages": "anthropic",
    "generateContent": "google",
    "ollama": "ollama",
}
MOST_ATTEMPTS = 3  # where a line does not say
ADVICE = " (extra_body takes what only a vendor knows)"
SPELLED_OTHERWISE = {  # how others call what has a name here
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "max_retries": "max_attempts",
    "custom_id": "id",
    "prompt": "messages",
    "input": "messages",
    "instructions": "system",
    "reasoning_effort": "reasoning",
    "headers": "extra_headers",
}


class Defaults(NamedTuple):
    """What the command line says for lines that do not.

    Attributes:
        provider: the provider to ask.
        model: the model to ask.
        stream: whether answers come in pieces.
        endpoint: what this provider is spoken to in.
        data_classes: the kinds of data in all lines.
    """

    provider: str | None = None
    model: str | None = None
    stream: bool = False
    endpoint: str | None = None
    data_classes: frozenset[str] = frozenset()

    def endpoint_of(self, provider: str | None) -> str | None:
        """Return the endpoint of a provider; None where nobody knows it."""
        return self.endpoint if provider == self.provider else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line that can be asked.

    Attributes:
        id: the line's own name; None for none.
        request: what is asked; its provider is empty where nobody has named one. Its account and
            deadline are not known yet.
        endpoint: the endpoint that the line names; None for the provider's own.
        base_url: where the line wants it asked; None for the provider's own place.
        timeout_s: the seconds that the whole call gets, waiting for its turn included.
        data_classes: the kinds of data in it.
        warnings: what was changed or left out in the reading.
    """

    id: LineId
    request: ModelRequest
    endpoint: str | None = None
    base_url: str | None = None
    timeout_s: float | None = None
    data_classes: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that cannot be asked.

    Attributes:
        id: the line's own name; None where it has none that can be read.
        error: what is wrong; its message begins with the line's place.
        provider: the provider that it names, as far as it can be read.
        model: the model, likewise.
        endpoint: the endpoint, likewise.
    """

    id: LineId
    error: InvalidRequest
    provider: str | None = None
    model: str | None = None
    endpoint: str | None = None


def read_line(text: bytes, place: str, defaults: Defaults) -> Line | Refused:
    """Read one line. Never raises.

    Args:
        text: the line, in UTF-8.
        place: where it is, as ``FILE:LINE``.
        defaults: what holds where the line says nothing.
    """
    try:
        data = parse(text)
    except (ValueError, RecursionError) as why:
        return refused(f"{place}: is not JSON: {_reason(why)}", defaults)
    if not isinstance(data, dict):
        return refused(f"{place}: must be a JSON object, not {kinds.shown(data)}", defaults)
    faults = Faults()
    line = _line(Fields(data, faults), data, defaults)
    if not faults:
        return line
    return refusal_of(line, f"{place}: {faults}", defaults)


def refused(message: str, defaults: Defaults) -> Refused:
    """Return the refusal of a line that cannot be read."""
    error = InvalidRequest(message)
    return Refused(None, error, defaults.provider, defaults.model, defaults.endpoint)


def refusal_of(line: Line, message: str, defaults: Defaults) -> Refused:
    """Return the refusal of a line of which at least a part can be read."""
    provider, model = line.request.provider or None, line.request.model or None
    endpoint = line.endpoint or defaults.endpoint_of(provider)
    return Refused(line.id, InvalidRequest(message), provider, model, endpoint)


def parse(text: bytes) -> Any:
    """Return the JSON value in a line.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text.decode("utf-8"), parse_constant=_refuse)


def id_in(data: Any) -> LineId:
    """Return the id in a line's JSON value; None where it has none that is good."""
    value = data.get("id") if isinstance(data, dict) else None
    return value if value is not None and kinds.LINE_ID.is_valid(value) else None


def _line(fields: Fields, data: Mapping[str, Any], defaults: Defaults) -> Line:
    """Read a line's fields; what is wrong is noted, and left out of what is returned."""
    id_ = fields.read("id", kinds.LINE_ID)
    endpoint = fields.read("endpoint", kinds.choice(*DIALECTS))
    base_url = fields.read("base_url", kinds.NAME)
    if base_url is not None:
        _check_address(fields, base_url)
    timeout_s = fields.read("timeout", kinds.SECONDS)
    data_class = fields.read("data_class", kinds.NAMES)
    request, warnings = _request(fields, defaults)
    _close(fields, data)
    return Line(
        id=id_,
        request=request,
        endpoint=endpoint,
        base_url=base_url,
        timeout_s=None if timeout_s is None else float(timeout_s),
        data_classes=defaults.data_classes | classes_of(data_class, "data_class"),
        warnings=warnings,
    )


def _request(fields: Fields, defaults: Defaults) -> tuple[ModelRequest, tuple[str, ...]]:
    said = conversation_of(fields)
    tools, extra_body = tools_of(fields), extra_body_of(fields)
    chosen = choice_of(fields, tools, others="tools" in extra_body)
    form = form_of(fields)
    stop = fields.read("stop", kinds.STOP)
    temperature = fields.read("temperature", kinds.NUMBER)
    streams = fields.read("stream", kinds.FLAG)
    model = fields.read("model", kinds.NAME) or defaults.model
    if model is None and "model" not in fields:
        fields.fault("model", "is missing; name it, or all lines' with --model")
    request = ModelRequest(
        provider=fields.read("provider", kinds.NAME) or defaults.provider or "",
        model=model or "",
        messages=said.messages,
        system=said.system,
        schema=form.schema,
        schema_name=form.name,
        schema_strict=form.strict,
        json_object=form.json_object,
        tools=tools,
        tool_choice=chosen.choice,
        forced_tool=chosen.forced,
        max_output_tokens=fields.read("max_tokens", kinds.COUNT),
        temperature=None if temperature is None else float(temperature),
        reasoning=reasoning_of(fields),
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        stream=defaults.stream if streams is None else streams,
        extra_headers=fields.read("extra_headers", kinds.TEXTS) or {},
        extra_body=extra_body,
        max_attempts=fields.read("max_attempts", kinds.ATTEMPTS) or MOST_ATTEMPTS,
    )
    return request, said.warnings


def _check_address(fields: Fields, url: str) -> None:
    for is_wrong, what in ADDRESS_FAULTS:
        if is_wrong(url):
            fields.fault("base_url", what)
            return


# A wrong address is never quoted: it may hold a credential.
ADDRESS_FAULTS: tuple[tuple[Callable[[str], bool], str], ...] = (
    (lambda url: "@" in url, "must not hold a credential"),
    (lambda url: "?" in url or "#" in url, "must not have a query or a fragment"),
    (
        lambda url: not url.lower().startswith(("http://", "https://")),
        "must begin with http:// or https://",
    ),
    (lambda url: " " in url or not url.isprintable(), "must not have blanks or odd characters"),
    (lambda url: not _names_a_host(url), "must name a host, and a port only if it is one"),
)


def _names_a_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        return bool(host) and parts.port != 0
    except ValueError:  # a UnicodeError is one, too
        return False


def _close(fields: Fields, data: Mapping[str, Any]) -> None:
    for name in SPELLED_OTHERWISE.keys() & data.keys():
        fields.ignore(name)
        if data[name] is not None:
            fields.fault(
                name, f"is no field that is known here; it is called {SPELLED_OTHERWISE[name]}"
            )
    fields.close(ADVICE)


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 at byte {error.start + 1}"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
