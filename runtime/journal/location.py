"""Where a journal is."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

Location: TypeAlias = Path
