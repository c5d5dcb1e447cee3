"""The provider actors of a system: one per account, started when it is first asked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from runtime.actors import ActorError, ChildSpec, OutcomeUnknown, Supervisor
from runtime.errors import ConnectionFailed, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.actors import Actor, ActorRef, SupervisorRef
    from runtime.messages import ModelReply, ModelRequest, ProviderProfile

INTENSITY = 10  # restarts of provider actors in five seconds before their supervisor gives up
SHUTDOWN_S = 5.0


class Accounts:
    """Finds the provider actor of a request.

    Args:
        supervisor: the supervisor of the provider actors.
        profile_of: the account of a provider, resolved; raises ``ConfigurationError``.
    """

    def __init__(
        self, supervisor: SupervisorRef, profile_of: Callable[[str], ProviderProfile]
    ) -> None:
        self._supervisor = supervisor
        self._profile_of = profile_of
        self._refs: dict[str, ActorRef] = {}

    async def invoke(self, request: ModelRequest) -> ModelReply:
        """Hand a request to its provider's actor and return the reply.

        Raises:
            ConfigurationError: the account lacks its key or address.
            ProviderError: the call failed.
        """
        try:
            return cast("ModelReply", await self._ref(request.provider).ask(request))
        except OutcomeUnknown as error:
            # It held the request when it ended: what was sent may well be billed.
            raise Timeout(
                f"the provider actor of {request.provider} ended while it waited for the answer",
                stage="total",
                provider=request.provider,
                model=request.model,
            ) from error
        except ActorError as error:
            raise ConnectionFailed(
                f"the provider actor of {request.provider} ended: {error}",
                provider=request.provider,
                model=request.model,
            ) from error

    def _ref(self, provider: str) -> ActorRef:
        ref = self._refs.get(provider)
        if ref is None or not ref.alive:
            ref = self._supervisor.spawn(self._profile_of(provider))
            self._refs[provider] = ref
        return ref


def accounts_spec(start: Callable[[ProviderProfile], Actor]) -> ChildSpec:
    """Return the spec of the supervisor of all provider actors.

    A provider actor's mailbox outlives its restarts, so that what is queued is not lost.
    """
    template = ChildSpec("provider", start, shutdown=SHUTDOWN_S, keep_address=True)
    supervisor = partial(
        Supervisor, (template,), strategy="simple_one_for_one", intensity=INTENSITY
    )
    return ChildSpec("providers", supervisor, type="supervisor", keep_address=True)
