"""``python -m runtime``."""

from __future__ import annotations

import gc
import sys

from runtime.cli.main import main
from runtime.cli.streams import leave

# A start makes 100,000 objects that stay. Collections after every 700 new ones, which is Python's
# way, look at them again and again, a fifth of the time until a first agent runs.
NEW_OBJECTS_TO_COLLECTION = 50_000

if __name__ == "__main__":
    gc.set_threshold(NEW_OBJECTS_TO_COLLECTION)
    leave(main(sys.argv[1:]))
