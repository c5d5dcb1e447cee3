"""The provider actors of a system: one per account, started when it is first asked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from otel.log_scope import current_scope
from runtime.actors import ActorError, ChildSpec, OutcomeUnknown, Supervisor
from runtime.chat_spans import server_at
from runtime.errors import ConfigurationError, ConnectionFailed, Timeout
from runtime.messages import LocalRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anyio.streams.memory import MemoryObjectSendStream

    from runtime.actors import Actor, ActorRef, Reply, SupervisorRef
    from runtime.chat_spans import Server
    from runtime.messages import ModelEvent, ModelReply, ModelRequest, Payer, ProviderProfile

INTENSITY = 10  # restarts of provider actors in five seconds before their supervisor gives up
SHUTDOWN_S = 5.0


@runtime_checkable
class Observable(Protocol):
    """An actor that shows what it knows."""

    def statistics(self) -> Any:
        """Return a snapshot."""


class Asked:
    """A request on its way.

    Args:
        request: the request.
        answer: the future of its provider's actor.
    """

    __slots__ = ("_answer", "_request")

    def __init__(self, request: ModelRequest, answer: Reply) -> None:
        self._request = request
        self._answer = answer

    def cancel(self) -> None:
        """Give up: what is queued is taken back, what is in flight is cut off."""
        self._answer.cancel()

    def when_done(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` once there is a reply, an error or nothing more to come."""
        self._answer.add_done_callback(lambda _: notify())

    async def reply(self) -> ModelReply:
        """Return the reply.

        Raises:
            ProviderError: the call failed.
            DeadlineExceeded: the request's time is over.
            QueueFull: too many calls wait for this account.
        """
        request = self._request
        try:
            reply: ModelReply = await self._answer
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
        return reply


class Accounts:
    """Finds the provider actor of a request.

    Args:
        supervisor: the supervisor of the provider actors.
        profile_of: the account of a provider, resolved; raises ``ConfigurationError``.
        check: raises ``ConfigurationError`` for a profile that no actor can be started with. Asked
            before, because a supervisor would try to start it again and again.
    """

    def __init__(
        self,
        supervisor: SupervisorRef,
        profile_of: Callable[[str], ProviderProfile],
        check: Callable[[ProviderProfile], object] = lambda _: None,
    ) -> None:
        self._supervisor = supervisor
        self._profile_of = profile_of
        self._check = check
        self._refs: dict[str, ActorRef] = {}
        self._profiles: dict[str, ProviderProfile] = {}
        self._servers: dict[str, Server | None] = {}

    def add(self, profile: ProviderProfile) -> None:
        """Make an account known that the catalog does not name; requests name it ``account``."""
        self._profiles[profile.name] = profile

    def ask(
        self,
        request: ModelRequest,
        pieces: MemoryObjectSendStream[ModelEvent] | None = None,
        payer: Payer | None = None,
    ) -> Asked:
        """Hand a request to its account's actor.

        Args:
            request: the request.
            pieces: where the pieces of a streamed answer go.
            payer: who pays for its attempts.

        Raises:
            ConfigurationError: the account lacks its key or address.
        """
        ref = self._ref(request.account or request.provider)
        is_plain = pieces is None and payer is None
        message = request if is_plain else LocalRequest(request, pieces, payer, current_scope())
        return Asked(request, ref.ask(message))

    def server_of(self, request: ModelRequest) -> Server | None:
        """Return who is asked over the network; None where nobody is, or nobody knows whom."""
        account = request.account or request.provider
        if account not in self._servers:
            self._servers[account] = self._find_server(account)
        return self._servers[account]

    def _find_server(self, account: str) -> Server | None:
        try:
            profile = self._profiles.get(account) or self._profile_of(account)
        except ConfigurationError:
            return None  # whoever asks will hear of it
        return server_at(profile.base_url)

    def statistics(self) -> Mapping[str, Any]:
        """Return a snapshot of each account that was asked, by its name."""
        snapshot = {}
        for name, ref in self._refs.items():
            actor: Any = ref.actor
            if ref.alive and isinstance(actor, Observable):
                snapshot[name] = actor.statistics()
        return snapshot

    def _ref(self, account: str) -> ActorRef:
        ref = self._refs.get(account)
        if ref is None or not ref.alive:
            profile = self._profiles.get(account) or self._profile_of(account)
            self._check(profile)
            ref = self._supervisor.spawn(profile)
            self._refs[account] = ref
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
