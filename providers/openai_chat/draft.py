"""A request's body in the making, and what had to be left out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from providers.openai_chat.capabilities import NO_FIELD, SAMPLING, refuses

if TYPE_CHECKING:
    from providers.openai_chat.profile import ChatOptions
    from runtime.messages import ModelRequest


class Draft:
    """Fields that will be sent, and a warning for each one that will not.

    Attributes:
        request: what is to be written.
        options: the account's.
        body: the fields so far.
        warnings: what was left out or changed so far, one sentence each.
    """

    def __init__(self, request: ModelRequest, options: ChatOptions) -> None:
        self.request = request
        self.options = options
        self.body: dict[str, Any] = {}
        self.warnings: list[str] = []

    def put(self, field: str, value: Any) -> None:
        """Send ``value`` unless it is None or there is a reason against it, which is kept."""
        if value is None:
            return
        reason = self._obstacle(field)
        if reason is None:
            self.body[field] = value
        else:
            self.leave_out(field, reason)

    def leave_out(self, what: str, reason: str) -> None:
        """Say that something of the request is not sent, once."""
        warning = f"{what} was not sent: {reason}"
        if warning not in self.warnings:
            self.warnings.append(warning)

    def _obstacle(self, field: str) -> str | None:
        sampling = self.options.sampling_params if field in SAMPLING else "auto"
        if sampling != "auto":
            return None if sampling == "send" else "the account's options say so"
        if field in NO_FIELD:
            return "this dialect has no field for it"
        model, thinking = self.request.model, self.request.reasoning
        if refuses(model, field, thinking.effort if thinking else None):
            return f"{model} does not take it"
        return None
