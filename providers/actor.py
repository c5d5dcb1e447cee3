"""The provider actor: one supervised actor per account, many calls in flight, everything bounded.

``receive`` hands every call off to a task of its own, so the mailbox stays short. What the account
knows of its server lives in ``Account`` and outlives a crash of the actor; see ``call`` for the
order of one call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from otel.log_scope import Scope, scoped
from providers.call import Call
from runtime.actors import Actor, current_time
from runtime.errors import ProviderError
from runtime.messages import LocalRequest, ModelRequest

if TYPE_CHECKING:
    from providers.account import Account, AccountStatistics
    from runtime.actors import Exit
    from runtime.messages import ModelReply


class ProviderActor(Actor):
    """Makes the model calls of one account.

    Ask it a ``ModelRequest`` or a ``LocalRequest``; it answers a ``ModelReply``. A failed call
    fails its asker, never the actor.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._under_way = 0
        self._quiet: anyio.Event | None = None

    def __repr__(self) -> str:
        now = self.statistics()
        profile = self._account.profile
        return (
            f"<ProviderActor {profile.name} ({profile.dialect})"
            f" [{now.in_flight} in flight, {now.queued} waiting,"
            f" {now.calls} calls, {now.errors} errors]>"
        )

    async def on_start(self) -> None:
        """Open the backend; what a former incarnation had under way is over."""
        self._account.after_crash(current_time())
        await self._account.backend.open()

    async def on_stop(self, exit_: Exit) -> None:
        """Close the backend once the calls in flight, which the kernel cancelled, are over."""
        del exit_
        while self._under_way:
            self._quiet = anyio.Event()
            await self._quiet.wait()
        await self._account.backend.close()

    async def receive(self, message: Any) -> Any:
        """Make the call in a task of its own; other messages are nothing to it."""
        if isinstance(message, ModelRequest):
            return self.hand_off(self._call, LocalRequest(message))
        if isinstance(message, LocalRequest):
            return self.hand_off(self._call, message)
        return self.unhandled(message)

    def statistics(self) -> AccountStatistics:
        """Return a snapshot of this account."""
        return self._account.statistics(current_time())

    async def _call(self, local: LocalRequest) -> ModelReply:
        account = self._account
        account.calls += 1
        self._under_way += 1
        try:
            with scoped(self._scope_of(local)):
                return await Call(account, local).run()
        except Exception as error:
            account.errors += 1
            account.last_error = f"{type(error).__name__}: {error}"
            if isinstance(error, ProviderError):
                error.__traceback__ = None  # its frames hold the prompt for as long as it is kept
            raise
        finally:
            if local.pieces is not None:
                local.pieces.close()
            self._under_way -= 1
            if self._quiet is not None and not self._under_way:
                self._quiet.set()

    def _scope_of(self, local: LocalRequest) -> Scope:
        """Return whose work a call is, as its sender says it, or as far as the request does."""
        request, actor = local.request, {"actor": self.ref.name}
        if local.scope is not None:
            return Scope({**local.scope.fields, **actor}, local.scope.span)
        known = {"run_id": request.run_id, "task_id": request.task_id}
        return Scope({name: id_ for name, id_ in known.items() if id_} | actor, None)
