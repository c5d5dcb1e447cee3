"""What an agent's context hands on: questions, ways of sending, and who fulfils them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypedDict

from runtime.explicit import NO_HINTS, Hints, classes_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.activation import Activation
    from runtime.agent import Agent, Skill
    from runtime.approval import Decision
    from runtime.context import Context
    from runtime.engines import Pending
    from runtime.messages import Delegation, Message, Reasoning
    from runtime.model_stream import ModelStream

DEFAULT_TURNS = 8


class StreamOptions(TypedDict, total=False):
    """How a model is asked; what is left out is left to the agent, the catalog or the model.

    Attributes:
        model: a tier, ``provider/model`` or a model's name.
        provider: the provider to ask.
        system: the system prompt.
        max_output_tokens: the most that may be generated; never more than the agent's limit.
        temperature: how freely to sample.
        reasoning: how much to think.
        stop: texts that end the answer.
        task_type: the type of task, for the routes of the routing file.
        data_class: the kind of data in the prompt, for policies, besides what is known of it.
    """

    model: str | None
    provider: str | None
    system: str | None
    max_output_tokens: int | None
    temperature: float | None
    reasoning: Reasoning | None
    stop: Sequence[str]
    task_type: str | None
    data_class: str | None


class AskOptions(StreamOptions, total=False):
    """The same with tools.

    Attributes:
        tools: the skills that the model may call, or their names.
        max_turns: the most replies that may call tools; 8 where nothing is said.
        use_cache: whether the answer to an equal question may be given again.
    """

    tools: Sequence[Skill | str]
    max_turns: int
    use_cache: bool | None


class Question(NamedTuple):
    """What an agent asks a model.

    Attributes:
        messages: the turns, oldest first.
        returns: the type of the answer; ``str`` for plain text.
        model: a tier, ``provider/model`` or a model's name; None leaves it to agent and catalog.
        provider: the provider to ask.
        system: the system prompt.
        max_output_tokens: the most that may be generated; None for the agent's limit.
        temperature: None leaves it to the model.
        reasoning: how much to think; None leaves it to the model.
        stop: texts that end the answer.
        tools: the skills that the model may call.
        max_turns: the most replies that may call tools.
        task_type: the type of task; None for what the Delegation or the agent says.
        data_class: the kind of data in it, besides what the Delegation and the agent say.
        use_cache: whether the answer to an equal question may be given again; None leaves it to
            code and route.
        hints: what code says of models in payload and context.
        is_plan: whether the answer is the agent's plan, which traces show as such.
    """

    messages: tuple[Message, ...]
    returns: Any = str
    model: str | None = None
    provider: str | None = None
    system: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    reasoning: Reasoning | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[Skill, ...] = ()
    max_turns: int = DEFAULT_TURNS
    task_type: str | None = None
    data_class: str | None = None
    use_cache: bool | None = None
    hints: Hints = NO_HINTS
    is_plan: bool = False


@dataclass(frozen=True, slots=True)
class Sending:
    """How a Delegation is sent.

    Attributes:
        deadline: the seconds it gets; None for as many as its sender has.
        context: hints for the runtime and the agent.
        task_id: what to call it; None for a name of its own.
    """

    deadline: float | None
    context: Mapping[str, Any]
    task_id: str | None = None

    def with_data_classes(
        self, classes: frozenset[str], agent: Agent | str | Delegation
    ) -> Sending:
        """Return it with the kinds of data that the sender works on, besides those that it names.

        Whoever gets the data must know what it is, so a sender can add to these and not take away.

        Raises:
            InvalidInput: what it names is neither a name nor a list of names.
        """
        own = getattr(agent, "context", None) or {}  # of a whole Delegation
        named = {**own, **self.context}.get("data_class")
        known = classes | classes_of(named, "context: data_class")
        return replace(self, context={**self.context, "data_class": sorted(known)})

    def within(self, dialogue: Mapping[str, str], agent: Agent | str | Delegation) -> Sending:
        """Return it in the sender's conversation and session, where it names none of its own."""
        own = getattr(agent, "context", None) or {}  # of a whole Delegation
        return replace(self, context={**dialogue, **own, **self.context})


@dataclass(frozen=True, slots=True)
class ApprovalWish:
    """What people are asked.

    Attributes:
        question: in words.
        data: what it is about; JSON data.
        expires_s: after how many seconds it counts as denied; None for never.
        tool: the tool that may be used or not; None where an agent's code asks.
        policy: the policy that wants the tool approved; None likewise.
    """

    question: str
    data: Any = None
    expires_s: float | None = None
    tool: str | None = None
    policy: str | None = None


class Services(Protocol):
    """What a context hands its wishes to."""

    async def ask(self, context: Context, activation: Activation, question: Question) -> Any:
        """Ask a model and return the answer as ``question.returns``."""
        ...

    def stream(self, activation: Activation, question: Question) -> ModelStream:
        """Return the answer to a question in pieces."""
        ...

    def skill(self, skill: Skill | str) -> Skill:
        """Return a skill by its name."""
        ...

    async def use(
        self, context: Context, activation: Activation, skill: Skill | str, payload: Any
    ) -> Any:
        """Run a skill and return what it returns."""
        ...

    async def approve(
        self, context: Context, activation: Activation, question: ApprovalWish
    ) -> Decision:
        """Ask people, and return what they decide."""
        ...

    async def send(
        self,
        activation: Activation,
        agent: Agent | str | Delegation,
        payload: Any,
        how: Sending,
    ) -> Pending:
        """Hand a Delegation over once there is room; the future is that of its ``Result``."""
        ...


@dataclass(frozen=True, slots=True)
class BudgetView:
    """What the run may still spend, in USD; None where there is no limit."""

    limit_usd: float | None
    spent_usd: float
    reserved_usd: float
    left_usd: float | None
