"""What an author writes: ``@mag``, ``@sag`` and ``@skill``, on functions or classes.

A decorated agent stays callable, so it can be tested like any function. Code owns types and
behaviour; the catalog owns limits: what is said here is a proposal, what YAML says holds.

    @sag(model="fast")
    async def summarise(ctx: Context, document: Document) -> Summary: ...

    @mag
    def classic_loop(ctx: BlockingContext, topic: str) -> str: ...      # runs in a worker thread

    @sag(per="run")
    class Notebook:                                  # one object per run, one message at a time
        async def run(self, ctx: Context, note: str) -> int: ...
"""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, overload

from runtime.backoff import Backoff
from runtime.errors import ConfigurationError
from runtime.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Role = Literal["mag", "sag"]
Per = Literal["delegation", "run", "process"]
Style = Literal["async", "blocking", "classic", "classic_blocking"]
Body = TypeVar("Body", bound="Callable[..., Any]")

CLASSIC_NAMES = ("registry", "skills", "runner", "obs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the catalog says of an agent; the defaults hold for one that it does not name.

    Attributes:
        concurrency: how many bodies run at once; those that wait for delegations do not count.
        mailbox: how many Delegations wait for their turn before senders have to wait too.
        deadline_s: the seconds it gets for one Delegation; None leaves it to its caller's.
        max_restarts: how often a crashed body is started again.
        backoff: how long to wait before that.
        model: a tier, ``provider/model`` or a model's name; None leaves it to the code.
        max_output_tokens: the most that one model call may generate.
        task_type: the type of its tasks, for routes; None for its slug.
        data_class: what kind of data it handles, for policies.
        skills: the skills it may use; None for any.
        agents: the agents it may delegate to; None for any.
    """

    concurrency: int = 1_000
    mailbox: int = 1_000
    deadline_s: float | None = None
    max_restarts: int = 1
    backoff: Backoff = field(default_factory=Backoff)
    model: str | None = None
    max_output_tokens: int = 4_096
    task_type: str | None = None
    data_class: str | None = None
    skills: frozenset[str] | None = None
    agents: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Agent:
    """An agent as its code defines it.

    Attributes:
        name: its slug.
        role: ``mag`` orchestrates, ``sag`` is a specialist; both may delegate.
        body: the function or class.
        style: how it is called.
        signature: its input and output types.
        per: how long one object of a class lives; functions live for one delegation.
        model: the model that it proposes for its calls.
        skills: names of the skills that it proposes to use; empty for any.
        description: one line about it.
    """

    name: str
    role: Role
    body: Callable[..., Any]
    style: Style
    signature: Signature
    per: Per = "delegation"
    model: str | None = None
    skills: tuple[str, ...] = ()
    description: str = ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the body itself, as plain Python."""
        return self.body(*args, **kwargs)


@dataclass(frozen=True, slots=True, eq=False)
class Skill:
    """A checked function that agents use by name.

    Attributes:
        name: its name.
        function: what it does.
        signature: its input and output types.
        style: ``async``, ``thread`` (a plain function, run in a worker thread) or ``inline``.
        wants_context: whether its first parameter is the context of the agent that uses it.
        description: one line about it, for people and models.
        side_effects: whether it changes something outside.
        idempotent: whether doing it twice with the same ``ctx.idempotency_key`` is the same as
            once.
    """

    name: str
    function: Callable[..., Any]
    signature: Signature
    style: Literal["async", "thread", "inline"]
    wants_context: bool = False
    description: str = ""
    side_effects: bool = False
    idempotent: bool = False

    @property
    def has_effects(self) -> bool:
        """Whether it changes something outside: it begins only when that is in the journal."""
        return self.side_effects or self.idempotent

    @property
    def is_once(self) -> bool:
        """Whether a use that an interruption has left in doubt must not be repeated unasked."""
        return self.side_effects and not self.idempotent

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, as plain Python."""
        return self.function(*args, **kwargs)

    @property
    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the arguments."""
        return self.signature.input_schema


@overload
def mag(body: Callable[..., Any], /) -> Agent: ...
@overload
def mag(
    *,
    name: str | None = None,
    model: str | None = None,
    skills: tuple[Skill | str, ...] = (),
    per: Per | None = None,
) -> Callable[[Callable[..., Any]], Agent]: ...
def mag(body: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a main agent of a function or class; the options are those of ``sag``."""
    return _decorate("mag", body, options, sys._getframe(1).f_locals)  # noqa: SLF001  # hints may name local types


@overload
def sag(body: Callable[..., Any], /) -> Agent: ...
@overload
def sag(
    *,
    name: str | None = None,
    model: str | None = None,
    skills: tuple[Skill | str, ...] = (),
    per: Per | None = None,
) -> Callable[[Callable[..., Any]], Agent]: ...
def sag(body: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a sub agent of a function or class.

    Args:
        body: the function or class, when used without parentheses.
        options: ``name`` (default: the function's, in kebab-case), ``model`` (a tier,
            ``provider/model`` or a model's name), ``skills`` (those it uses; empty for any),
            ``per`` (for classes: ``run``, the default, or ``process``).

    Raises:
        ConfigurationError: a hint cannot be read, or an option does not fit.
    """
    return _decorate("sag", body, options, sys._getframe(1).f_locals)  # noqa: SLF001  # hints may name local types


@overload
def skill(function: Callable[..., Any], /) -> Skill: ...
@overload
def skill(
    *,
    name: str | None = None,
    inline: bool = False,
    side_effects: bool = False,
    idempotent: bool = False,
) -> Callable[[Callable[..., Any]], Skill]: ...
def skill(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a skill of a function.

    Args:
        function: the function, when used without parentheses. A plain ``def`` runs in a worker
            thread; a first parameter called ``ctx`` gets the context of the agent that uses it.
        options: ``name`` (default: the function's, in kebab-case), ``inline`` (run a plain
            function on the event loop: it is quick and never blocks), ``side_effects`` (doing it
            twice is not the same as once: after an interruption it is not repeated unasked),
            ``idempotent`` (it has side effects, but twice with the same ``ctx.idempotency_key`` is
            the same as once: after an interruption it is used again with that key).

    Raises:
        ConfigurationError: a hint cannot be read, or an option does not fit.
    """
    local_names = sys._getframe(1).f_locals  # noqa: SLF001  # hints may name local types

    def wrap(wrapped: Callable[..., Any]) -> Skill:
        return make_skill(wrapped, local_names=local_names, **options)

    return wrap if function is None else wrap(function)


def make_skill(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    inline: bool = False,
    side_effects: bool = False,
    idempotent: bool = False,
    local_names: Mapping[str, Any] | None = None,
) -> Skill:
    """Return the skill that a function defines; see ``skill``."""
    name = name or kebab(function.__name__)
    _check_answers(function, f"skill {name}")
    first = next(iter(inspect.signature(function).parameters), "")
    wants_context = first == "ctx"
    signature = Signature(
        function, owner=f"skill {name}", skip=int(wants_context), local_names=local_names
    )
    is_async = inspect.iscoroutinefunction(function)
    style: Any = "async" if is_async else "inline" if inline else "thread"
    described = first_line(function.__doc__)
    effects = {"side_effects": side_effects, "idempotent": idempotent}
    return Skill(name, function, signature, style, wants_context, described, **effects)


def make_agent(
    body: Callable[..., Any],
    role: Role,
    *,
    name: str | None = None,
    model: str | None = None,
    skills: tuple[Skill | str, ...] = (),
    per: Per | None = None,
    local_names: Mapping[str, Any] | None = None,
) -> Agent:
    """Return the agent that a function or class defines; see ``sag``.

    Raises:
        ConfigurationError: it has no ``run``, a hint cannot be read, or ``per`` does not fit.
    """
    name = name or kebab(body.__name__)
    is_class = inspect.isclass(body)
    function = getattr(body, "run", None) if is_class else body
    if function is None:
        raise ConfigurationError(f"agent {name}: class {body.__name__} has no method run")
    if per not in (None, *get_args(Per)):
        raise ConfigurationError(f"agent {name}: per is delegation, run or process, not {per!r}")
    if per is not None and per != "delegation" and not is_class:
        raise ConfigurationError(f"agent {name}: per={per!r} needs a class, which keeps the state")
    _check_answers(function, f"agent {name}")
    leading = 2 if is_class else 1
    if len(inspect.signature(function).parameters) < leading:
        raise ConfigurationError(f"agent {name}: its first parameter is the context")
    return Agent(
        name=name,
        role=role,
        body=body,
        style="async" if inspect.iscoroutinefunction(function) else "blocking",
        signature=Signature(function, owner=name, skip=leading, local_names=local_names),
        per=(per or "run") if is_class else "delegation",
        model=model,
        skills=tuple(s if isinstance(s, str) else s.name for s in skills),
        description=first_line(body.__doc__),
    )


def classic_agent(function: Callable[..., Any], role: Role, name: str) -> Agent:
    """Return the agent that a plain ``run(payload, *, registry, skills, runner, obs)`` defines.

    Raises:
        ConfigurationError: it does not take a payload.
    """
    _check_answers(function, f"agent {name}")
    parameters = inspect.signature(function).parameters
    if next(iter(parameters), None) is None:
        raise ConfigurationError(f"agent {name}: {function.__name__} takes no payload")

    def contract(payload: dict[str, Any]) -> dict[str, Any]:
        return payload

    is_async = inspect.iscoroutinefunction(function)
    return Agent(
        name=name,
        role=role,
        body=function,
        style="classic" if is_async else "classic_blocking",
        signature=Signature(contract, owner=name, skip=0),
        description=first_line(function.__doc__),
    )


def _check_answers(function: Callable[..., Any], owner: str) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"{owner}: it yields, but an answer is returned")


def _decorate(
    role: Role,
    body: Callable[..., Any] | None,
    options: dict[str, Any],
    local_names: Mapping[str, Any],
) -> Any:
    def wrap(wrapped: Callable[..., Any]) -> Agent:
        return make_agent(wrapped, role, local_names=local_names, **options)

    return wrap if body is None else wrap(body)


def kebab(name: str) -> str:
    """Return a Python name as a slug: ``FindDocuments`` as ``find-documents``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).replace("_", "-").strip("-").lower()


def first_line(text: str | None) -> str:
    """Return the first line of a docstring."""
    return (text or "").strip().partition("\n")[0]
