"""A simulator in the place of all vendors, with the requests that it got.

with vendors(failing("gpt-4o", "server_error")) as server:
    ...  # ask with the variables server.environ
assert server.places == [(RESPONSES, "gpt-4o")]
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from anyio.from_thread import start_blocking_portal

from providers.simulator import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from providers.simulator import Simulator
    from providers.simulator.http1 import Request

KEYS = {  # as long as real ones
    "OPENAI_API_KEY": f"sk-{'0' * 48}",
    "ANTHROPIC_API_KEY": f"sk-ant-{'0' * 101}",
    "GOOGLE_API_KEY": "0" * 39,
    "AZURE_OPENAI_API_KEY": "0" * 32,
}
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
OLLAMA = "/api/chat"


class Asked(NamedTuple):
    """One request that the simulator got."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def model(self) -> str:
        """The model, which Google has in the path."""
        return self.body.get("model") or self.path.partition("/models/")[2].partition(":")[0]

    @property
    def key(self) -> str:
        """The credential, wherever its vendor puts it."""
        names = ("x-api-key", "x-goog-api-key", "api-key")
        return next(
            (self.headers[name] for name in names if name in self.headers),
            self.headers.get("authorization", "").removeprefix("Bearer "),
        )


class Vendors:
    """A running simulator, and the requests that it got.

    Attributes:
        url: its address without a path.
        asked: the requests, oldest first.
        addresses: the variables that put it in the place of every provider.
    """

    def __init__(self, simulator: Simulator) -> None:
        self.url = simulator.url
        self.asked: list[Asked] = []
        self.addresses = {
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "ANTHROPIC_BASE_URL": self.url,
            "GOOGLE_GEMINI_BASE_URL": self.url,
            "AZURE_OPENAI_ENDPOINT": self.url,
            "MAGSAG_COMPAT_BASE_URL": f"{self.url}/v1",
            "MAGSAG_LOCAL_LLM_BASE_URL": f"{self.url}/v1",
            "OLLAMA_BASE_URL": self.url,
        }
        self._respond = simulator._application.respond
        simulator._application.respond = self._noted  # type: ignore[method-assign]  # to listen in

    @property
    def environ(self) -> dict[str, str]:
        """The variables with a key of every vendor."""
        return {**KEYS, **self.addresses}

    @property
    def models(self) -> list[str]:
        """The models that were asked, in their order."""
        return [asked.model for asked in self.asked]

    @property
    def places(self) -> list[tuple[str, str]]:
        """Where they were asked, and which they are."""
        return [(asked.path, asked.model) for asked in self.asked]

    def _noted(self, request: Request) -> Any:
        fields = request.head.fields.items()
        headers = {name.decode(): value.decode() for name, value in fields}
        self.asked.append(Asked(request.head.path, headers, json.loads(request.body or b"{}")))
        return self._respond(request)


@contextmanager
def vendors(*rules: Mapping[str, Any], port: int = 0) -> Iterator[Vendors]:
    """Run a simulator in a thread until the block is left.

    Args:
        rules: how to answer, as in a scenario.
        port: its port; 0 takes any that is free.
    """
    scenario = {"rules": list(rules)}
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(scenario, port=port)) as running_,
    ):
        yield Vendors(running_)


def failing(model: str, error: str | Mapping[str, Any], **match: Any) -> dict[str, Any]:
    """Return the rule of a scenario by which a model fails."""
    return {"match": {"model": model, **match}, "then": {"error": error}}
