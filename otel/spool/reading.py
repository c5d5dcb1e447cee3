"""What is in a spool's folder, for people and for export; nothing is changed.

Files of living processes are read as they are at that moment.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

from otel.spool import open_spans, segment
from otel.spool.encoding import frame, request
from otel.spool.folder import REJECTED
from otel.spool.mapped_file import is_held
from otel.spool.open_spans import left_open
from otel.spool.segment import NotASegment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_IDS = ("traceId", "spanId", "parentSpanId")


class Contents(NamedTuple):
    """What is in a spool.

    Attributes:
        pending: spans that wait for a collector.
        living: those of them whose process lives and sends them itself.
        rejected: spans that a collector refused.
        open: spans of living processes that have not ended.
        crashed: spans that dead processes left open; the next process closes them.
        size: the bytes of all files.
        unknown: files that nobody understands.
    """

    pending: int
    living: int
    rejected: int
    open: int
    crashed: int
    size: int
    unknown: tuple[str, ...]


def contents(folder: Path) -> Contents:
    """Return what is in a spool's folder.

    Raises:
        OSError: a file cannot be read.
    """
    pending = living = rejected = open_ = crashed = size = 0
    unknown: list[str] = []
    for path in _files(folder):
        try:
            size += path.stat().st_size
            if path.suffix == open_spans.SUFFIX:
                left, lives = len(left_open(path).spans), is_held(path)
                open_, crashed = open_ + left * lives, crashed + left * (not lives)
            elif path.suffix != segment.SUFFIX:
                unknown.append(path.name)
            elif path.parent.name == REJECTED:
                rejected += segment.view(path).pending
            else:
                waiting = segment.view(path).pending
                pending, living = pending + waiting, living + waiting * is_held(path)
        except FileNotFoundError:
            continue  # it was sent meanwhile
        except NotASegment:
            unknown.append(path.name)
    return Contents(pending, living, rejected, open_, crashed, size, tuple(unknown))


def exported(
    folder: Path, trace_id: int | None = None, *, rejected: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the spans that wait, as ``ResourceSpans`` of OTLP's JSON, a file at a time.

    OTLP's JSON has ids in hexadecimal digits where the JSON of protocol buffers has base64:
    <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

    Args:
        folder: the spool's folder.
        trace_id: only those of this trace; None for all.
        rejected: those too that a collector refused.

    Raises:
        OSError: a file cannot be read.
    """
    from google.protobuf.json_format import (  # type: ignore[import-untyped]  # noqa: PLC0415  # it ships no types; 0.1 s
        MessageToDict,
    )
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415
        ExportTraceServiceRequest,  # as above
    )

    wanted = None if trace_id is None else trace_id.to_bytes(16, "big")
    for path in _files(folder):
        is_wanted = rejected or path.parent.name != REJECTED
        if path.suffix != segment.SUFFIX or not is_wanted:
            continue
        try:
            found = segment.view(path)
        except (FileNotFoundError, NotASegment):
            continue
        spans = [span for span in found.spans() if wanted is None or wanted in span[:18]]
        if spans:
            body = request(*found.origin, b"".join(map(frame, spans)))
            message = ExportTraceServiceRequest.FromString(body)
            whole = MessageToDict(message, use_integers_for_enums=True)
            yield from map(_with_digits, whole["resourceSpans"])


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a spool, oldest first."""
    for place in (folder, folder / REJECTED):
        if place.is_dir():
            yield from sorted(
                path for path in place.iterdir() if path.is_file() and path.name[0] != "."
            )


def _with_digits(of_resource: dict[str, Any]) -> dict[str, Any]:
    """Return spans with their ids in hexadecimal digits."""
    for of_scope in of_resource["scopeSpans"]:
        for span in of_scope["spans"]:
            for each in (span, *span.get("links", ())):
                each.update(
                    {name: base64.b64decode(each[name]).hex() for name in _IDS if name in each}
                )
    return of_resource
