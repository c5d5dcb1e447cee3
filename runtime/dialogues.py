"""Which conversation and session of a user's a piece of work belongs to, where somebody says so.

Asked in this order: the Delegation's context (``conversation_id``, ``session_id``), its payload if
that has fields of these names, the options of the run. Nothing is made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

LONGEST = 256  # characters of a name; a longer one is none


class Dialogue(NamedTuple):
    """What a user's application calls it.

    Attributes:
        conversation_id: the conversation; None where nobody says.
        session_id: the session; None where nobody says.
    """

    conversation_id: str | None = None
    session_id: str | None = None

    def or_else(self, other: Dialogue) -> Dialogue:
        """Return it with what another one says where this one says nothing."""
        if self is NOBODYS:
            return other
        if other is NOBODYS:
            return self
        return Dialogue(
            self.conversation_id or other.conversation_id, self.session_id or other.session_id
        )

    def as_context(self) -> dict[str, str]:
        """Return what the context of a Delegation says of it."""
        return {name: value for name, value in self._asdict().items() if value}


NOBODYS = Dialogue()


def dialogue_of(context: Any, payload: Any, usual: Dialogue) -> Dialogue:
    """Return what a Delegation belongs to.

    Args:
        context: the Delegation's context.
        payload: its input.
        usual: what its run belongs to.
    """
    return dialogue_in(context).or_else(dialogue_in(payload)).or_else(usual)


def dialogue_in(data: Any) -> Dialogue:
    """Return what a context or a payload says; its other fields, and other types, are no matter."""
    if type(data) is not dict and not isinstance(data, Mapping):
        return NOBODYS
    conversation, session = data.get("conversation_id"), data.get("session_id")
    if conversation is None and session is None:
        return NOBODYS
    return Dialogue(_name(conversation), _name(session))


def _name(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return value.strip() or None if len(value) <= LONGEST else None
