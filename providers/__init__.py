"""Provider actors: the only place that talks to language models.

Its parts, in reading order:

1. ``actor``: the supervised actor of one account; bounds calls in flight and calls waiting.
   ``backend``: what makes its calls.
2. ``options``: what a profile may say about its dialect;  ``base_url``: where the account is.
3. ``adapter``: what a wire dialect has to do, without any I/O.
4. ``openai_chat``: the Chat Completions dialect. ``openai_reply`` reads answers, ``openai_errors``
   classifies what goes wrong, ``response_hints`` reads header fields, ``strict_schema`` makes a
   schema fit strict mode.
5. ``http``: the pooled connections of one account; ``http_backend`` joins them with an adapter.
6. ``echo``: two models in this process, without network, key or cost. ``echo-1`` gives the prompt
   back or fills a schema (``filling``, from ``prompt_json`` where it can); ``extract-1``
   summarises by picking sentences (``extract``, ``extraction``). ``prompt`` is what they read,
   ``local_answer`` what they answer.
7. ``prices``: what a model costs.

A dialect is imported when the first account speaks it, so ``echo`` never loads an HTTP library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.backend import Backend
    from providers.prices import price_of
    from runtime.actors import Actor
    from runtime.messages import ProviderProfile

__all__ = ["DIALECTS", "price_of", "provider_actor"]

DIALECTS = {
    "echo": "providers.echo:echo_backend",
    "openai_chat": "providers.openai_chat:openai_chat_backend",
}


def provider_actor(profile: ProviderProfile) -> Actor:
    """Return the actor that makes the model calls of one account.

    Args:
        profile: the account; its ``dialect`` is a key of ``DIALECTS``.

    Raises:
        ConfigurationError: nobody speaks that dialect, or the profile does not suit it.
    """
    from providers.actor import ProviderActor  # noqa: PLC0415  # anyio, for those who call only

    return ProviderActor(_backend_of(profile), profile)


def _backend_of(profile: ProviderProfile) -> Backend:
    place = DIALECTS.get(profile.dialect)
    if place is None:
        raise ConfigurationError(
            f"provider {profile.name!r}: nobody speaks the dialect {profile.dialect!r};"
            f" known are {', '.join(sorted(DIALECTS))}"
        )
    module, _, name = place.partition(":")
    make: Callable[[ProviderProfile], Backend] = getattr(import_module(module), name)
    return make(profile)


def __getattr__(name: str) -> Any:
    """Import ``price_of`` when it is first asked for."""
    if name == "price_of":
        from providers.prices import price_of  # noqa: PLC0415  # keeps the import of providers cheap

        return price_of
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
