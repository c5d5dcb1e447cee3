"""Whether a call may be made though nobody can say what it may cost at worst."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import BudgetExceeded, PolicyDenied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.catalog import Target
    from runtime.invocations.case import Case
    from runtime.messages import ModelRequest

# Fields of a vendor's body that change neither what is read nor how much may be written. Others may
# have the server read files, pages or earlier answers, which are prompt tokens, too.
HARMLESS = frozenset(
    {
        *("frequencypenalty", "generationconfig", "keepalive", "logitbias", "logprobs", "metadata"),
        *("minp", "options", "paralleltoolcalls", "presencepenalty", "promptcachekey"),
        *(
            "promptcacheretention",
            "reasoning",
            "reasoningeffort",
            "repetitionpenalty",
            "responseformat",
        ),
        *(
            "responseformat",
            "safetyidentifier",
            "safetysettings",
            "seed",
            "servicetier",
            "speed",
            "stop",
        ),
        *(
            "store",
            "streamoptions",
            "temperature",
            "text",
            "thinking",
            "toplogprobs",
            "topk",
            "topp",
        ),
        *("truncation", "user", "verbosity"),
    }
)


def check_bounds(target: Target, request: ModelRequest, case: Case, *, limited: bool) -> None:
    """Refuse what nobody can say the worst case of, where a policy or a budget forbids that.

    Args:
        target: whom to ask.
        request: what is asked.
        case: what is known of the call.
        limited: whether its run has a budget, or a policy limits what its calls may cost.

    Raises:
        PolicyDenied: nobody knows the price, and a policy forbids such calls.
        BudgetExceeded: it cannot be counted against what it would have to fit into.
    """
    _check_price(target, case, limited=limited)
    if limited:
        _check_fields(request.extra_body)


def _check_price(target: Target, case: Case, *, limited: bool) -> None:
    if case.counted is not None or case.terms.unknown_price == "allow":
        return
    unknown = f"nobody knows the price of {target}"
    if case.terms.unknown_price == "deny":
        why = (
            f"{unknown}, and {case.terms.unknown_source} forbids that; add it to"
            " catalog/prices.yaml"
        )
        raise PolicyDenied(why, denied=((str(target), why),))
    if limited:
        raise BudgetExceeded(
            f"{unknown}, so it cannot be asked under a budget; add it to catalog/prices.yaml, or"
            " let a policy say what such models count"
        )


def _check_fields(extra_body: Mapping[str, object]) -> None:
    for name, value in extra_body.items():
        if value is not None and name.casefold().replace("_", "") not in HARMLESS:
            raise BudgetExceeded(
                f"extra_body.{name}: nobody knows what a server may read or write for it, so it"
                " cannot be used under a budget"
            )
