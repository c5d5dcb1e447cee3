"""What a model shall answer: text, or JSON of a type that it is asked for with a schema."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, RootModel, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError

from runtime.errors import ConfigurationError, InvalidOutput
from runtime.signature import explain

FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)


class AnswerType:
    """What a model shall answer: text, or JSON of a type.

    Attributes:
        schema: the JSON Schema that is asked for; None for text. Its root is always an object, as
            servers insist on that, so that other types stand in a field ``answer``.
    """

    def __init__(self, returns: Any) -> None:
        self.schema: dict[str, Any] | None = None
        self._wrapped = not _is_object(returns)
        self._adapter: TypeAdapter[Any] | None = None
        if returns is str:
            return
        try:
            wrapper = create_model("Answer", answer=(returns, ...)) if self._wrapped else returns
            self._adapter = TypeAdapter(wrapper)
            self.schema = self._adapter.json_schema()
        except (PydanticUserError, TypeError) as error:
            raise ConfigurationError(f"no model can answer with {returns!r}: {error}") from error

    def parse(self, text: str, model: str) -> Any:
        """Return the answer as its type.

        Raises:
            InvalidOutput: it is no JSON, or JSON of another shape.
        """
        if self._adapter is None:
            return text
        fenced = FENCE.match(text)
        try:
            answer = self._adapter.validate_json(fenced.group(1) if fenced else text)
        except ValidationError as error:
            raise InvalidOutput(f"answer of {model}: {explain(error)}") from error
        return answer.answer if self._wrapped else answer


def _is_object(returns: Any) -> bool:
    """Whether the type is an object in JSON by itself: a pydantic model, but for a root model."""
    return (
        isinstance(returns, type)
        and issubclass(returns, BaseModel)
        and not issubclass(returns, RootModel)
    )


@lru_cache(maxsize=256)
def _hashable_answer_type(returns: Any) -> AnswerType:
    return AnswerType(returns)


def answer_type(returns: Any) -> AnswerType:
    """Return what a type means as an answer; making it costs a millisecond, so it is kept.

    Raises:
        ConfigurationError: no JSON Schema can be made of it.
    """
    try:
        return _hashable_answer_type(returns)
    except TypeError:  # e.g. Annotated with something that has no hash
        return AnswerType(returns)
