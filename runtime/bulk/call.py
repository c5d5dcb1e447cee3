"""One line's call: to its account's actor and back. A failure is an outcome like any other."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from otel.log_scope import Scope, scoped, within
from runtime.bulk.destination import ENDPOINTS, IN_PROCESS
from runtime.bulk.outcome import Asked, answered, failed
from runtime.catalog import Target
from runtime.errors import RuntimeFault
from runtime.governance.cost import asked_tiers
from runtime.governance.policy import Contents
from runtime.invocations.beginning import begin
from runtime.invocations.case import Case
from runtime.invocations.denials import denials_noted
from runtime.journal import JournalFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.streams.memory import MemoryObjectSendStream

    from runtime.accounts import Accounts
    from runtime.bulk.destination import Destination, Destinations
    from runtime.bulk.line import Line, Refused
    from runtime.bulk.outcome import Outcome
    from runtime.catalog import Subject
    from runtime.invocations.case import Asker
    from runtime.invocations.invocation import Doors
    from runtime.messages import ModelEvent, ModelReply, ModelRequest, Price
    from runtime.rules import Rules

logger = logging.getLogger("runtime.bulk")


class Caller:
    """Makes the calls of lines.

    Args:
        asker: who makes them, in the name of the whole command.
        accounts: the provider actors.
        destinations: finds the account of a line.
        price_of: the price of a provider's model; None when nobody knows it.
        rules: the policies.
        doors: what calls go out by.
    """

    def __init__(
        self,
        asker: Asker,
        *,
        accounts: Accounts,
        destinations: Destinations,
        price_of: Callable[[str, str], Price | None],
        rules: Rules,
        doors: Doors,
    ) -> None:
        self._asker = asker
        self._accounts = accounts
        self._destinations = destinations
        self._price_of = price_of
        self._rules = rules
        self._doors = doors
        self._added: set[str] = set()

    async def call(
        self, line: Line, pieces: MemoryObjectSendStream[ModelEvent] | None = None
    ) -> Outcome:
        """Ask what a line asks, and return what came of it.

        Args:
            line: the line.
            pieces: where the pieces of a streamed answer go.

        Raises:
            JournalFailed: the journal cannot be written, so nothing may be asked.
        """
        with scoped(self._scope_of(line)):
            return await self._answered(line, pieces)

    async def _answered(
        self, line: Line, pieces: MemoryObjectSendStream[ModelEvent] | None
    ) -> Outcome:
        asked = self._asked(line)
        try:
            target = Target(asked.provider or "", asked.model or "")
            with denials_noted(self._asker_of(line), line.data_classes, target):
                destination = self._destinations.find(line)
            asked = self._known(line, asked, destination)
            reply = await self._ask(line, self._request(line, destination), asked, pieces)
        except JournalFailed:
            raise
        except RuntimeFault as error:
            return failed(asked, error)
        except Exception as error:
            # One line must not end the others; the log has what only we can mend.
            logger.exception("a line's call failed", extra={"line": str(line.id)})
            return failed(asked, error)
        return answered(asked, reply)

    def _asked(self, line: Line) -> Asked:
        """Say what is known before it is known where the line goes."""
        return Asked(
            id=line.id,
            provider=line.request.provider or None,
            model=line.request.model,
            endpoint=self._destinations.endpoint_of(line),
            warnings=line.warnings,
        )

    def _known(self, line: Line, asked: Asked, destination: Destination) -> Asked:
        """Say where the line goes, and make its account known."""
        profile = destination.profile
        if profile.name not in self._added:
            self._accounts.add(profile)
            self._added.add(profile.name)
        return replace(
            asked,
            provider=destination.provider,
            endpoint=ENDPOINTS.get(profile.dialect, profile.dialect),
            price=self._price_of(destination.provider, asked.model or ""),
            tier=next(iter(asked_tiers(line.request)), None),
            warnings=(*asked.warnings, *destination.warnings),
        )

    def _request(self, line: Line, destination: Destination) -> ModelRequest:
        deadline = None if line.timeout_s is None else anyio.current_time() + line.timeout_s
        return replace(
            line.request,
            provider=destination.provider,
            account=destination.profile.name,
            deadline=deadline,
            run_id=self._asker.run.id,
            task_id="" if line.id is None else str(line.id),
        )

    def _asker_of(self, line: Line) -> Asker:
        return self._asker._replace(task_id="" if line.id is None else str(line.id))

    def _scope_of(self, line: Line) -> Scope:
        asker = self._asker
        fields = {"run_id": asker.run.id, "agent": asker.agent}
        if line.id is not None:
            fields["task_id"] = str(line.id)
        return Scope(fields, asker.span)

    def _case(self, line: Line, request: ModelRequest, known: Asked) -> Case:
        """Return on which terms a line is asked; its words are kept only where a policy says so."""
        names: dict[Subject, str] = {
            "agent": self._asker.agent,
            "provider": request.provider,
            "tenant": self._asker.run.tenant,
        }
        terms = self._rules.terms(names, line.data_classes)
        kept = terms.contents.in_audit
        return Case(
            price=known.price,
            data_classes=line.data_classes,
            region=self._rules.region(request.provider, line.base_url),
            terms=terms._replace(contents=Contents(in_journal=kept, in_audit=kept)),
            in_process=known.endpoint == IN_PROCESS,
        )

    async def _ask(
        self,
        line: Line,
        request: ModelRequest,
        known: Asked,
        pieces: MemoryObjectSendStream[ModelEvent] | None,
    ) -> ModelReply:
        asker, case = self._asker_of(line), self._case(line, request, known)
        invocation = await begin(asker, request, case, self._doors)
        try:
            with invocation.span.attached(), within(invocation.span):
                asked = self._accounts.ask(request, pieces, payer=invocation)
                if pieces is not None:
                    asked.when_done(pieces.close)
                reply = await asked.reply()
        except BaseException as error:
            invocation.failed(error)
            raise
        invocation.completed(reply)
        return reply


def outcome_of_refused(refused: Refused) -> Outcome:
    """Return the outcome of a line that cannot be asked."""
    asked = Asked(
        id=refused.id,
        provider=refused.provider,
        model=refused.model,
        endpoint=refused.endpoint,
    )
    return failed(asked, refused.error)
