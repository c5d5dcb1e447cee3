"""An outage of a collector, told in one line when it begins and one when it ends.

The SDK is not imported here: the spool does without it.
"""

from __future__ import annotations

import logging
from typing import Final

_log = logging.getLogger("otel.exporter")

_LONGEST_REASON: Final = 300


class Outage:
    """Whether a collector answers, told once at each change.

    Attributes:
        lasting: whether the last thing known is that it does not.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self.lasting = False
        self._lost = 0

    def note(self, reason: str) -> None:
        """Say that spans do not arrive, unless that was said."""
        if self.lasting:
            return
        self.lasting = True
        _log.warning(
            "spans do not reach %s: %s; still trying, without a line for each failure",
            self._endpoint,
            reason[:_LONGEST_REASON],
            extra={"endpoint": self._endpoint},
        )

    def lost(self, spans: int) -> None:
        """Count spans that were given up."""
        self._lost += spans

    def over(self) -> None:
        """Say that spans arrive again, if they did not."""
        if not self.lasting:
            return
        _log.warning(
            "spans reach %s again; %d were lost",
            self._endpoint,
            self._lost,
            extra={"endpoint": self._endpoint, "lost": self._lost},
        )
        self.lasting = False
        self._lost = 0
