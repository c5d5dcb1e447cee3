"""What code says of models in data: ``model_config`` in payloads, hints in a Delegation's context.

| where | what |
|---|---|
| ``payload["model_config"]`` | how models are asked about this payload; see ``ModelConfig`` |
| ``context["llm_overrides"]``, ``["plan_overrides"]`` | the same, one level of priority lower |
| ``context["preferred_model"]``, ``["preferred_provider"]`` | a model, a provider |
| ``context["cost_tier"]`` | a tier, e.g. ``economy`` |
| ``context["task_type"]``, ``payload["task_type"]`` | the type of task, for routes |
| ``context["data_class"]``, ``payload["data_class"]`` | the kind of data in it, for policies |

A ``task_type`` that is no text is the payload's own and left alone; the other two are the
runtime's, and an error where they are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidInput
from runtime.routing import Wish
from runtime.shapes import fields as kinds
from runtime.shapes.fields import Faults, Fields
from runtime.shapes.tool_shape import Choice, Form, choice_of, form_of, reasoning_of, tools_of

if TYPE_CHECKING:
    from runtime.messages import Reasoning, Tool

CONFIG = "model_config"
OVERRIDES = ("llm_overrides", "plan_overrides")
NOBODY = Wish(level="preferred")
ANY_CHOICE, ANY_FORM = Choice(), Form()
FOR_THE_RUNTIME = (CONFIG, "task_type", "data_class")  # keys of a payload
NO_OBJECTS = (str, int, float, list, type(None))  # quicker to tell than what is no Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """How code wants a model asked. What is None is not said.

    Attributes:
        model: a tier, ``provider/model`` or a model's name.
        provider: the provider to ask.
        base_url: where the server is; on this machine, or at a provider's own address.
        system: the system prompt.
        max_output_tokens: the most that may be generated (``max_tokens``).
        temperature: how freely to sample.
        tools: what the model may call, in OpenAI's shape.
        choice: whether it may, must not or must call one (``tool_choice``).
        form: how the answer shall look (``response_format``).
        reasoning: how much to think.
        stop: texts that end the answer.
        use_cache: whether the answer to an equal question may be given again.
        structured_output: whether the vendor shall hold the model to the type of the answer.
    """

    model: str | None = None
    provider: str | None = None
    base_url: str | None = None
    system: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    tools: tuple[Tool, ...] = ()
    choice: Choice = ANY_CHOICE
    form: Form = ANY_FORM
    reasoning: Reasoning | None = None
    stop: tuple[str, ...] = ()
    use_cache: bool | None = None
    structured_output: bool | None = None

    def or_else(self, other: ModelConfig) -> ModelConfig:
        """Return it with what another one says where it says nothing."""
        if self is NOTHING or other is NOTHING:
            return self if other is NOTHING else other
        given = ((each.name, getattr(self, each.name)) for each in fields(self))
        said = {name: value for name, value in given if value != getattr(NOTHING, name)}
        return replace(other, **said)


NOTHING = ModelConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """All that code says of models in the data of one piece of work.

    Attributes:
        config: ``model_config`` of the nearest payload.
        overrides: ``llm_overrides`` of the context.
        preferred: the preferred model and provider.
        cost_tier: a tier.
        task_type: the type of task; None for the agent's own.
        data_classes: the kinds of data in it.
        said: what is said of each thing, ``model_config`` before ``llm_overrides``.
    """

    config: ModelConfig = NOTHING
    overrides: ModelConfig = NOTHING
    preferred: Wish = NOBODY
    cost_tier: str | None = None
    task_type: str | None = None
    data_classes: frozenset[str] = frozenset()
    said: ModelConfig = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Put together what is said."""
        object.__setattr__(self, "said", self.config.or_else(self.overrides))

    def wishes(self) -> tuple[Wish, ...]:
        """Return whom code wants asked, strongest first."""
        if self is NO_HINTS:
            return ()
        return (
            Wish(self.config.model, self.config.provider, "model_config"),
            Wish(self.overrides.model, self.overrides.provider, "llm_overrides"),
            self.preferred,
            Wish(self.cost_tier, None, "cost_tier"),
        )

    def within(self, payload: Any) -> Hints:
        """Return them with what the payload of a skill says.

        Raises:
            InvalidInput: its ``model_config`` is wrong; the message names every fault.
        """
        if not says_something(payload):
            return self
        return replace(
            self,
            config=self.config if payload.get(CONFIG) is None else _config_of(payload[CONFIG]),
            task_type=_text(payload, "task_type") or self.task_type,
            data_classes=self.data_classes | classes_of(payload.get("data_class"), "data_class"),
        )


NO_HINTS = Hints()


def says_something(payload: Any) -> bool:
    """Whether a payload has a key for the runtime."""
    if isinstance(payload, NO_OBJECTS) or not isinstance(payload, Mapping):
        return False
    return any(key in payload for key in FOR_THE_RUNTIME)


def hints_of(context: Mapping[str, Any], payload: Any) -> Hints:
    """Return what a Delegation says of models.

    Raises:
        InvalidInput: something in it is wrong; the message names every fault.
    """
    if not context:
        return NO_HINTS.within(payload)
    given = [name for name in OVERRIDES if name in context]
    if len(given) > 1:
        raise InvalidInput(f"context: {' and '.join(given)} are two words for one thing; use one")
    named = given[0] if given else None
    overrides = None if named is None else context[named]
    if overrides is not None and not isinstance(overrides, Mapping):
        raise InvalidInput(f"context: {named} must be an object, not {kinds.shown(overrides)}")
    preferred = (_word(context, "preferred_model"), _word(context, "preferred_provider"))
    return Hints(
        overrides=NOTHING if overrides is None else read_config(overrides, f"context: {named}"),
        preferred=Wish(*preferred, "preferred"),
        cost_tier=_word(context, "cost_tier"),
        task_type=_word(context, "task_type"),
        data_classes=classes_of(context.get("data_class"), "context: data_class"),
    ).within(payload)


def _config_of(config: Any) -> ModelConfig:
    if not isinstance(config, Mapping):
        raise InvalidInput(f"{CONFIG} must be an object, not {kinds.shown(config)}")
    return read_config(config, CONFIG)


def read_config(data: Mapping[str, Any], place: str) -> ModelConfig:
    """Read a ``model_config``.

    Args:
        data: the object.
        place: where it is, for the message.

    Raises:
        InvalidInput: something in it is wrong; the message names every fault.
    """
    faults = Faults()
    fields = Fields(data, faults, place)
    tools = tools_of(fields)
    temperature = fields.read("temperature", kinds.NUMBER)
    stop = fields.read("stop", kinds.STOP)
    config = ModelConfig(
        model=fields.read("model", kinds.NAME),
        provider=fields.read("provider", kinds.NAME),
        base_url=fields.read("base_url", kinds.NAME),
        system=fields.read("system", kinds.TEXT),
        max_output_tokens=fields.read("max_tokens", kinds.COUNT),
        temperature=None if temperature is None else float(temperature),
        tools=tools,
        choice=choice_of(fields, tools, others=False),
        form=form_of(fields),
        reasoning=reasoning_of(fields),
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        use_cache=fields.read("use_cache", kinds.FLAG),
        structured_output=fields.read("structured_output", kinds.FLAG),
    )
    fields.close()
    if faults:
        raise InvalidInput(str(faults))
    return config


def _word(context: Mapping[str, Any], name: str) -> str | None:
    value = context.get(name)
    if value is None or kinds.NAME.is_valid(value):
        return value
    raise InvalidInput(f"context: {name} must be {kinds.NAME.expected}, not {kinds.shown(value)}")


def _text(payload: Mapping[str, Any], name: str) -> str | None:
    value = payload.get(name)
    return value if isinstance(value, str) and value.strip() else None


def classes_of(value: Any, place: str) -> frozenset[str]:
    """Return the kinds of data that a ``data_class`` names.

    Raises:
        InvalidInput: it is neither a name nor a list of names; to pass it over would pass the
            data for some that nobody has a rule for.
    """
    if value is None:
        return frozenset()
    if not kinds.NAMES.is_valid(value):
        expected, found = kinds.NAMES.expected, kinds.shown(value)
        raise InvalidInput(f"{place} must be {expected}, not {found}")
    return frozenset((value,) if isinstance(value, str) else value)
