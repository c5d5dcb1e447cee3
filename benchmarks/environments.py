"""The environments of the peers: each its own, so that none has to agree with another.

    make bench-peers                        all of them
    python -m benchmarks.environments agno  one

They are in ``.bench`` beside this package, which git ignores, at the versions of
``peers.txt``. A peer without one is a row that says so.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent.parent / ".bench"
CONSTRAINTS = Path(__file__).with_name("peers.txt")


class Peer(NamedTuple):
    """A peer: what is installed for it, the peer itself first, and what its users begin with."""

    requirements: tuple[str, ...]
    begins: str


PEERS: dict[str, Peer] = {
    "autogen": Peer(("autogen-core",), "import autogen_core"),
    "pykka": Peer(("pykka",), "import pykka"),
    "xoscar": Peer(("xoscar",), "import xoscar"),
    "ray": Peer(("ray",), "import ray"),
    "openai": Peer(("openai",), "import openai"),
    "litellm": Peer(("litellm",), "import litellm"),
    "pydantic-ai": Peer(("pydantic-ai-slim[openai]",), "import pydantic_ai"),
    "langgraph": Peer(("langgraph", "langchain-openai"), "import langgraph.graph"),
    "agno": Peer(("agno", "openai"), "import agno.agent"),
    "agent-framework": Peer(
        ("agent-framework-core", "agent-framework-openai"), "from agent_framework import Agent"
    ),
    "openai-agents": Peer(("openai-agents",), "import agents"),
}


def python_of(peer: str) -> Path:
    """Return where the Python of a peer's environment is or would be."""
    return FOLDER / peer / "bin" / "python"


def absent(peer: str) -> str | None:
    """Return why a peer cannot be measured; None when it can."""
    if (FOLDER / peer / ".ready").is_file():
        return None
    return f"not installed: make bench-peers, or python -m benchmarks.environments {peer}"


def install(peer: str) -> None:
    """Make a peer's environment; one that is there is kept.

    Raises:
        CalledProcessError: pip could not.
    """
    if absent(peer) is None:
        return
    venv.create(FOLDER / peer, with_pip=True, clear=True)
    pip = [str(python_of(peer)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(  # noqa: S603  # our own command
        [*pip, "-c", str(CONSTRAINTS), *PEERS[peer].requirements], check=True
    )
    (FOLDER / peer / ".ready").touch()


def main() -> int:
    """Install those that the command line names, or all; go on after one that cannot be."""
    names = sys.argv[1:] or list(PEERS)
    if unknown := set(names) - set(PEERS):
        sys.exit(f"no peer {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    failed = []
    for name in names:
        try:
            install(name)
        except (subprocess.CalledProcessError, OSError) as error:
            failed.append(f"{name}: {error}")
        else:
            print(f"{name}: ready")
    print(*failed, sep="\n", file=sys.stderr, end="\n" if failed else "")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
