"""What dead processes have left in the spool: sent after all, and their open spans closed.

A process holds the lock of its files, so what can be locked is nobody's any more.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otel import conventions as names
from otel.spool import mapped_file, open_spans, segment
from otel.spool.attribute_fields import attribute_fields
from otel.spool.encoding import ERROR, end, frame, start_of, status
from otel.spool.folder import REJECTED
from otel.spool.open_spans import left_open
from otel.spool.segment import NotASegment

if TYPE_CHECKING:
    from pathlib import Path

    from otel.spool.segment import Segment
    from otel.spool.spool import Spool

CRASHED: Final = "process_crashed"

MOST_AT_ONCE: Final = 64  # files that wait at a time

_HALF_MADE_NS: Final = 60 * 10**9

_log = logging.getLogger("otel.spool")


def recover(spool: Spool) -> bool:
    """Take over what is in a spool's folder and belongs to no living process.

    Returns:
        Whether that was all. Each file takes two descriptors, so there is an end to how many are
        taken over at once: the work of the process needs some, too.
    """
    with suppress(OSError):
        for path in sorted(spool.folder.glob(f"[!.]*{open_spans.SUFFIX}")):
            if len(spool.waiting) >= MOST_AT_ONCE:
                return False
            _close_spans(spool, path)
        return _take_over_all(spool, spool.folder)
    return True


def recover_rejected(spool: Spool) -> None:
    """Take over what collectors have refused, so that it is sent once more."""
    with suppress(OSError):
        _take_over_all(spool, spool.folder / REJECTED)


def remove_half_made(spool: Spool) -> None:
    """Remove files whose process died while it made them."""
    with suppress(OSError):
        for path in spool.folder.glob(".*"):
            _remove_half_made(path)


def _take_over_all(spool: Spool, folder: Path) -> bool:
    """Take over the segments of a folder, oldest first; return whether that was all of them."""
    found: list[Segment] = []
    is_all = True
    for path in sorted(folder.glob(f"[!.]*{segment.SUFFIX}")):
        if len(spool.waiting) + len(found) >= MOST_AT_ONCE:
            is_all = False
            break
        found += filter(None, [_adopted(path)])
    for each in reversed(found):
        spool.take_over(each)
    return is_all


def _adopted(path: Path) -> Segment | None:
    """Return what a dead process has left in a file; None if that is nothing."""
    try:
        found = segment.adopt(path)
    except NotASegment as error:
        _put_aside(path, error)
        return None
    except OSError as error:
        _log.warning("%s cannot be read: %s", path, error)
        return None
    if found is None or found.pending:
        return found
    found.close()
    return None


def _close_spans(spool: Spool, path: Path) -> None:
    """Close the spans that a dead process left open: with an error, when it was last alive."""
    try:
        file = mapped_file.take(path)
    except (OSError, ValueError):
        file = None
    if file is None:
        return
    try:
        left = left_open(path)
        if left.spans:
            last_ns = max(left.last_ns, *map(start_of, left.spans))  # each proves that it lived
            frames = [frame(_crashed(span, last_ns)) for span in left.spans]
            closing = spool.new_segment(left.origin, sum(map(len, frames)))
            for each in frames:
                closing.append(each)
            spool.take_over(closing)
    except NotASegment as error:
        _put_aside(path, error)
        file.abandon()
    except OSError as error:
        _log.warning("the open spans of %s are not closed: %s", path, error)
        file.abandon()
    else:
        file.delete()


def _crashed(span: bytes, at_ns: int) -> bytes:
    said = attribute_fields({names.ERROR_TYPE: CRASHED})
    return span + said + end(at_ns) + status(ERROR, "the process ended before it did")


def _put_aside(path: Path, error: NotASegment) -> None:
    """Rename what nobody understands, so that it is neither tried again nor lost."""
    _log.error("%s; it is put aside with the suffix .unknown", error)
    with suppress(OSError):
        path.rename(path.with_name(f"{path.name}.unknown"))


def _remove_half_made(path: Path) -> None:
    """Remove a file whose process died while it made it, which takes no time."""
    with suppress(FileNotFoundError):
        age_ns = time.time_ns() - path.stat().st_mtime_ns
        is_ours = path.suffix in {segment.SUFFIX, open_spans.SUFFIX}
        if is_ours and age_ns > _HALF_MADE_NS and not mapped_file.is_held(path):
            path.unlink(missing_ok=True)
