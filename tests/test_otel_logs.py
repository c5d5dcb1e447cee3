"""Log lines: one a record, with fields and ids, without secrets, and never an error."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider

from otel import bind, configure_logging
from otel.line_handler import LineHandler
from otel.logs import remove_handlers
from otel.recording import RecordingTracing
from otel.trace_ids import RunTraceIds

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = 0x0199_7F2E_0000_7000_8000_0000_0000_0001
log = logging.getLogger("runtime.actors")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def fail(message: str) -> NoReturn:
    raise RuntimeError(message)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    remove_handlers()
    logging.getLogger("httpx").setLevel(logging.NOTSET)
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure_logging(stream=stream, json=True)
    return stream


def our_handler() -> LineHandler:
    (handler,) = [each for each in logging.getLogger().handlers if isinstance(each, LineHandler)]
    return handler


def only_our_handler_gets(text: str, *args: object, **extra: object) -> None:
    """Log past pytest's own handlers, which raise on records that do not fit."""
    record = log.makeRecord(log.name, logging.ERROR, __file__, 1, text, args, None, extra=extra)
    our_handler().handle(record)


def parsed(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_json_object_with_its_extra_fields(stream: io.StringIO) -> None:
    log.info("asked %s", "gpt-5-mini", extra={"tokens": 12, "tags": ["a"], "ratio": 0.5})
    (line,) = parsed(stream)
    assert list(line)[:4] == ["timestamp", "level", "logger", "event"]
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "runtime.actors",
        "event": "asked gpt-5-mini",
        "tokens": 12,
        "tags": ["a"],
        "ratio": 0.5,
    }


def test_an_extra_field_cannot_take_the_place_of_the_line_s_own(stream: io.StringIO) -> None:
    log.warning("mine", extra={"event": "yours", "level": "none", "timestamp": 0, "logger": "x"})
    (line,) = parsed(stream)
    assert (line["event"], line["level"], line["logger"]) == ("mine", "warning", "runtime.actors")
    assert (line["event_"], line["level_"]) == ("yours", "none")


def test_a_text_with_line_breaks_is_still_one_line(stream: io.StringIO) -> None:
    log.info('first\n{"event": "forged"}', extra={"text": "a\nb\r\nc"})
    (line,) = parsed(stream)
    assert line["event"] == 'first\n{"event": "forged"}'


def test_what_is_bound_is_on_every_line_inside_and_on_none_outside(stream: io.StringIO) -> None:
    with bind(run_id="r", agent="editor"):
        with bind(agent="writer", task_id="t"):
            log.info("inner", extra={"task_id": "mine"})
        log.info("outer")
    log.info("outside")
    inner, outer, outside = parsed(stream)
    assert (inner["run_id"], inner["agent"], inner["task_id"]) == ("r", "writer", "mine")
    assert (outer["agent"], "task_id" in outer) == ("editor", False)
    assert "run_id" not in outside


async def test_what_is_bound_in_one_task_is_not_on_the_lines_of_another(
    stream: io.StringIO,
) -> None:
    async def work(agent: str) -> None:
        with bind(agent=agent):
            await anyio.sleep(1)
            log.info(agent)

    async with anyio.create_task_group() as group:
        for agent in ("a", "b", "c"):
            group.start_soon(work, agent)
    assert [(line["event"], line["agent"]) for line in parsed(stream)] == [
        ("a", "a"),
        ("b", "b"),
        ("c", "c"),
    ]


def test_a_line_inside_an_attached_span_carries_its_ids(stream: io.StringIO) -> None:
    provider = TracerProvider(id_generator=RunTraceIds())
    span = RecordingTracing(provider, str).start("agent", trace_id=RUN)
    with span.attached():
        log.info("inside")
    log.info("outside")
    log.info("given", extra={"trace_id": 7, "span_id": 8})
    inside, outside, given_ids = parsed(stream)
    assert inside["trace_id"] == f"{RUN:032x}"
    assert inside["span_id"] == f"{span.span_id:016x}"
    assert "trace_id" not in outside
    assert (given_ids["trace_id"], given_ids["span_id"]) == ("0" * 31 + "7", "0" * 15 + "8")


def test_an_exception_is_told_with_its_traceback_and_without_secrets(stream: io.StringIO) -> None:
    try:
        fail("refused: sk-canary-1234567")
    except RuntimeError:
        log.exception("failed with %s", "password=canary")
    (line,) = parsed(stream)
    assert line["level"] == "error"
    assert "Traceback" in line["exception"]
    assert "RuntimeError: refused: [redacted]" in line["exception"]
    assert "canary" not in stream.getvalue()


@pytest.mark.parametrize(
    "speak",
    [
        lambda: log.info("key sk-canary-1234567"),
        lambda: log.info("key %s", "sk-canary-1234567"),
        lambda: log.info("headers %r", {"x-api-key": "canary"}),
        lambda: log.info("x", extra={"api_key": "canary"}),
        lambda: log.info("x", extra={"request": {"headers": [("authorization", "canary")]}}),
        lambda: structlog.get_logger("author").info("x", token="canary"),  # noqa: S106 - it shall look like one
        lambda: structlog.get_logger("author").info("key sk-canary-1234567"),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_no_way_to_log_lets_a_secret_through(speak: Any, as_json: bool) -> None:
    stream = io.StringIO()
    configure_logging(stream=stream, json=as_json)
    with bind(password="canary"):  # noqa: S106 - it shall look like one
        speak()
    assert "redacted" in stream.getvalue()
    assert "canary" not in stream.getvalue()


def test_the_values_of_secret_variables_of_the_process_are_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AZURE_API_KEY", "0123456789abcdef")
    stream = io.StringIO()
    configure_logging(stream=stream, json=True)
    log.info("asked with 0123456789abcdef")
    assert parsed(stream)[0]["event"] == "asked with [redacted]"


def test_secrets_can_be_named_exactly() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream, json=True, secrets=["open sesame"])
    log.info("say open sesame")
    assert parsed(stream)[0]["event"] == "say [redacted]"


def test_a_record_whose_arguments_do_not_fit_is_a_line_that_says_so(stream: io.StringIO) -> None:
    with bind(run_id="r"):
        only_our_handler_gets("%d tokens", "sk-canary-1234567")
    (line,) = parsed(stream)
    assert line["event"] == "%d tokens ('[redacted]',)"
    assert line["logging_error"] == "TypeError"
    assert line["run_id"] == "r"


def test_a_record_of_which_nothing_can_be_shown_is_still_a_line(stream: io.StringIO) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    only_our_handler_gets("%s", Broken())
    only_our_handler_gets("x", broken=Broken(), sound=1)
    lost, shown = parsed(stream)
    assert (lost["level"], lost["event"]) == ("error", "<unprintable>")
    assert (shown["broken"], shown["sound"]) == ("<unprintable Broken>", 1)


def test_a_stream_that_is_gone_is_no_error_of_the_run(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    stream.close()
    log.info("nobody reads this")
    assert our_handler().unwritten == 1
    assert capsys.readouterr().err == ""


def test_people_get_columns_on_a_terminal_and_machines_get_json() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    configure_logging(stream=terminal)
    log.info("hello", extra={"tokens": 12})
    configure_logging(stream=pipe)
    log.info("hello", extra={"tokens": 12})
    assert not terminal.getvalue().startswith("{")
    assert "tokens" in terminal.getvalue()
    assert parsed(pipe)[0]["tokens"] == 12


def test_colours_can_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    configure_logging(stream=terminal)
    log.info("hello")
    assert "\x1b" not in terminal.getvalue()


def test_the_text_of_a_model_cannot_steer_a_terminal_or_forge_a_line() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream, json=False)
    log.info("red \x1b[31m\nforged", extra={"answer": "\x1b]0;title\x07"})
    assert "\x1b" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 1


def test_a_traceback_keeps_its_lines_on_a_terminal() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream, json=False)
    try:
        fail("boom")
    except RuntimeError:
        log.exception("failed")
    assert len(stream.getvalue().splitlines()) > 3
    assert stream.getvalue().rstrip().endswith("RuntimeError: boom")


def test_configuring_again_replaces_the_handler_and_leaves_those_of_others(
    stream: io.StringIO,
) -> None:
    others = [each for each in logging.getLogger().handlers if not isinstance(each, LineHandler)]
    second = io.StringIO()
    configure_logging(stream=second, json=True)
    log.info("once")
    assert stream.getvalue() == ""
    assert len(parsed(second)) == 1
    now = logging.getLogger().handlers
    assert [each for each in now if not isinstance(each, LineHandler)] == others


def test_a_level_hides_what_is_below_it_and_tames_libraries_that_chatter() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream, json=True, level="info")
    log.debug("hidden")
    logging.getLogger("httpx").info("HTTP Request: POST /")
    structlog.get_logger("author").debug("hidden")
    assert stream.getvalue() == ""
    configure_logging(stream=stream, json=True, level=logging.DEBUG)
    log.debug("shown")
    logging.getLogger("httpx").info("HTTP Request: POST /")
    assert len(parsed(stream)) == 2


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configure_logging(level="loud")


def test_an_author_s_own_structlog_logger_leads_to_the_same_place(stream: io.StringIO) -> None:
    with bind(run_id="r"), structlog.contextvars.bound_contextvars(theirs=1):
        structlog.get_logger("author").warning("found %d", 3, source="web")
    (line,) = parsed(stream)
    assert line["event"] == "found 3"
    assert (line["logger"], line["level"], line["source"]) == ("author", "warning", "web")
    assert (line["run_id"], line["theirs"]) == ("r", 1)


IMPORTED_LATE = """
import logging, sys
from otel import configure_logging
configure_logging(json=True)
imported = "structlog" in sys.modules
if "line" in sys.argv:
    logging.getLogger("a").warning("stdlib")
import structlog
structlog.get_logger("author").warning("found %d", 3, imported=imported)
"""


@pytest.mark.real_time
@pytest.mark.parametrize("first", ["import", "line"])
def test_structlog_is_imported_late_and_its_loggers_lead_to_the_same_place(first: str) -> None:
    done = subprocess.run(  # our own interpreter
        [sys.executable, "-c", IMPORTED_LATE, first], capture_output=True, text=True, check=True
    )
    line = json.loads(done.stderr.splitlines()[-1])
    assert (done.stdout, line["event"], line["imported"]) == ("", "found 3", False)
    assert line["logger"] == "author"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(),
    fields=st.dictionaries(
        st.text(min_size=1).filter(lambda name: name not in vars(logging.makeLogRecord({}))),
        st.recursive(
            st.one_of(st.none(), st.text(), st.integers(), st.floats(), st.binary()),
            lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.integers(), inner)),
            max_leaves=5,
        ),
        max_size=4,
    ),
)
def test_whatever_is_logged_is_one_line_of_json(
    text: str, fields: dict[str, Any], stream: io.StringIO
) -> None:
    stream.seek(0)
    stream.truncate()
    fields = {name: value for name, value in fields.items() if name not in {"message", "asctime"}}
    log.info("%s", text, extra=fields)
    (line,) = parsed(stream)
    assert line["level"] == "info"
    stream.getvalue().encode("ascii")
