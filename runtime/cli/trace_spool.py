"""``trace status``, ``trace flush`` and ``trace export``: the spans that wait for a collector."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from otel.settings import TelemetryMisconfigured, export_settings
from otel.spool.encoding import resource
from otel.spool.reading import contents, exported
from otel.spool.recovery import recover_rejected
from otel.spool.sender import sender_of
from otel.spool.settings import spool_settings
from otel.spool.spool import Spool
from runtime.cli.places import journal_path
from runtime.cli.streams import emit, emit_json, say
from runtime.cli.text import plural
from runtime.cli.whole_file import whole_file
from runtime.errors import ConfigurationError
from runtime.identity import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel.settings import ExportSettings
    from otel.spool.sender import Sender
    from otel.spool.settings import SpoolSettings
    from otel.spool.spool import SpoolStatistics

LOOKS_EVERY_S = 0.05
STANDARD_OUTPUT = "-"


def show_status(*, as_json: bool) -> None:
    """Print what waits in the spool.

    Raises:
        ConfigurationError: a variable cannot be understood, or a file cannot be read.
    """
    folder = _folder(os.environ)
    try:
        found = contents(folder)
    except OSError as error:
        raise ConfigurationError(f"the spool {folder} cannot be read: {error}") from error
    if as_json:
        emit_json({"folder": str(folder), **found._asdict()})
        return
    rows = {
        "spool": str(folder),
        "waiting": f"{plural(found.pending, 'span')} ({found.living:,} of living processes)",
        "open": f"{plural(found.open, 'span')} of living processes",
        "crashed": f"{plural(found.crashed, 'span')} to be closed by the next process",
        "refused": plural(found.rejected, "span"),
        "size": f"{found.size:,} bytes",
    }
    emit("\n".join(f"{name:8} {value}" for name, value in rows.items()))
    for name in found.unknown:
        say(f"warning: {name} is no file of a spool")


def flush(endpoint: str | None, timeout_s: float, *, rejected: bool) -> int:
    """Send what dead processes have left, and return the exit code: 1 if something still waits.

    Args:
        endpoint: where to; None as the variables say.
        timeout_s: the seconds that it may take.
        rejected: send again what a collector refused, too.

    Raises:
        ConfigurationError: no endpoint is named, or a variable cannot be understood.
    """
    settings = _settings(endpoint)
    folder, most_bytes, _ = _spool_settings(os.environ)
    spool = Spool(folder, resource({}), most_bytes=most_bytes)
    if rejected:
        recover_rejected(spool)
    counted = anyio.run(_drained, spool, sender_of(spool, settings), timeout_s)
    spool.close()
    emit(_flushed(counted, settings.shown_endpoint))
    return 1 if counted.pending or counted.rejected else 0


async def _drained(spool: Spool, sender: Sender, timeout_s: float) -> SpoolStatistics:
    """Send for so many seconds, and return what came of it."""
    sender.start()
    with anyio.move_on_after(timeout_s):
        await anyio.to_thread.run_sync(sender.recovered.wait, abandon_on_cancel=True)
        while spool.statistics().pending:  # noqa: ASYNC110  # another thread sends
            await anyio.sleep(LOOKS_EVERY_S)
    counted = spool.statistics()
    await anyio.to_thread.run_sync(sender.stop, LOOKS_EVERY_S)
    return counted


def export(file: str, run_id: str | None, *, rejected: bool) -> None:
    """Write the spans that wait as OTLP's JSON, which Jaeger's upload takes.

    Args:
        file: where to; ``-`` for standard output.
        run_id: only those of a run.
        rejected: those too that a collector refused.

    Raises:
        ConfigurationError: none are there, or the file cannot be written.
    """
    folder = _folder(os.environ)
    trace_id = None if run_id is None else trace_id_of(run_id)
    try:
        found = list(exported(folder, trace_id, rejected=rejected))
    except OSError as error:
        raise ConfigurationError(f"the spool {folder} cannot be read: {error}") from error
    if not found:
        of_run = "" if run_id is None else f" of run {run_id}"
        raise ConfigurationError(
            f"no spans{of_run} wait in {folder}; what a collector has taken is not there any more,"
            " and `trace show` draws a run from the journal"
        )
    text = json.dumps({"resourceSpans": found}, ensure_ascii=False)
    if file == STANDARD_OUTPUT:
        emit(text)
        return
    journal = journal_path(None, os.environ, Path.cwd()) or Path(os.devnull)
    with whole_file(Path(file), journal) as part:
        part.write_text(text + "\n", encoding="utf-8")
    say(f"{file}: {plural(sum(map(_count, found)), 'span')}")


def _count(of_resource: Mapping[str, Any]) -> int:
    return sum(len(of_scope["spans"]) for of_scope in of_resource["scopeSpans"])


def _flushed(counted: SpoolStatistics, endpoint: str) -> str:
    facts = [f"{plural(counted.delivered, 'span')} sent to {endpoint}"]
    if counted.rejected:
        facts.append(f"{counted.rejected:,} refused")
    facts.append(f"{counted.pending:,} still waiting")
    return ", ".join(facts)


def _folder(environ: Mapping[str, str]) -> Path:
    return _spool_settings(environ).folder


def _spool_settings(environ: Mapping[str, str]) -> SpoolSettings:
    try:
        return spool_settings(environ)
    except TelemetryMisconfigured as error:
        raise ConfigurationError(str(error)) from error


def _settings(endpoint: str | None) -> ExportSettings:
    environ = dict(os.environ)
    if endpoint is not None:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
        environ.pop("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", None)
    try:
        settings = export_settings(environ)
    except TelemetryMisconfigured as error:
        raise ConfigurationError(str(error)) from error
    if settings is None:
        raise ConfigurationError(
            "there is nowhere to send spans to; set OTEL_EXPORTER_OTLP_ENDPOINT or give --endpoint"
        )
    return settings
