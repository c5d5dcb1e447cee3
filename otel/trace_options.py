"""What spans say beyond the usual, as the environment wants it.

| variable | meaning |
|---|---|
| OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT | ``true``: prompts and answers, too |
| MAGSAG_TRACE_COMPAT | ``openinference``: also the names that Phoenix goes by |
| MAGSAG_TRACE_MAX_SPANS | about how many spans a trace may have; 5000 where nothing is said |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel.contents import Contents
from otel.redaction import Redactor
from otel.secret_shapes import secrets_in
from otel.settings import TelemetryMisconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
COMPAT: Final = "MAGSAG_TRACE_COMPAT"
MAX_SPANS: Final = "MAGSAG_TRACE_MAX_SPANS"
MOST_SPANS: Final = 5_000  # of one trace: browsers show no more of them well
FEWEST_SPANS: Final = 10  # that a limit may be: each trace has to hold some delegations

_CAPTURES = {  # besides true and false, the words of OpenTelemetry's own instrumentations
    **dict.fromkeys(("true", "span_only", "span_and_event"), True),
    **dict.fromkeys(("", "false", "no_content", "event_only"), False),
}
_COMPATS = {"": False, "none": False, "openinference": True}


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """What spans say beyond the usual.

    Attributes:
        contents: turns prompts and answers into attributes; None: they are in no span.
        openinference: whether spans also say what OpenInference's names say.
        most_spans: about how many spans a trace may have before further delegations begin another.
    """

    contents: Contents | None = None
    openinference: bool = False
    most_spans: int = MOST_SPANS


def trace_options(environ: Mapping[str, str]) -> TraceOptions:
    """Return what the environment wants.

    Raises:
        TelemetryMisconfigured: a variable cannot be understood; the message names it.
    """
    captures = _chosen(environ, CAPTURE, _CAPTURES)
    return TraceOptions(
        contents=Contents(Redactor(secrets_in(environ))) if captures else None,
        openinference=_chosen(environ, COMPAT, _COMPATS),
        most_spans=_most_spans(environ),
    )


def _most_spans(environ: Mapping[str, str]) -> int:
    value = environ.get(MAX_SPANS, "").strip() or str(MOST_SPANS)
    if not (value.isascii() and value.isdigit() and int(value) >= FEWEST_SPANS):
        expected = f"a whole number, {FEWEST_SPANS} or more"
        raise TelemetryMisconfigured(f"{MAX_SPANS}={value!r} is not {expected}")
    return int(value)


def _chosen(environ: Mapping[str, str], variable: str, known: Mapping[str, bool]) -> bool:
    value = environ.get(variable, "").strip().lower()
    if value not in known:
        expected = ", ".join(filter(None, known))
        raise TelemetryMisconfigured(f"{variable}={value!r} is not known; it is one of: {expected}")
    return known[value]
