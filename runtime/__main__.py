"""``python -m runtime``."""

from __future__ import annotations

import sys

from runtime.cli import garbage
from runtime.cli.main import main
from runtime.cli.streams import leave

if __name__ == "__main__":
    garbage.put_off()
    leave(main(sys.argv[1:]))
