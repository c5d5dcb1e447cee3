"""What is looked at before a run goes on: can it go on here, in its limits, by the code of today.

A run whose time or money is used up would fail at once, and then be over: it is left as it is.

Changed code is no error by itself: a step is known by its content, so what is the same is answered
from the journal, and what is not is done. But a run can be told to rather not go on like that.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from runtime.code import Code, changes
from runtime.errors import CodeChanged, LimitReached
from runtime.governance.cost import NANO, usd
from runtime.outcome import DEFAULT_DEADLINE_S
from runtime.resumption import out_of_time, policy_of
from runtime.start import check_routing

if TYPE_CHECKING:
    from runtime.catalog import Catalog
    from runtime.code import Codes
    from runtime.directory import Directory
    from runtime.outcome import ResumeOptions
    from runtime.recorded import Recorded

logger = logging.getLogger("runtime.run")


def check_again(
    run_id: str,
    recorded: Recorded,
    options: ResumeOptions,
    *,
    catalog: Catalog,
    directory: Directory,
    codes: Codes,
) -> dict[str, Any]:
    """Refuse to go on with a run that cannot go on here, or must not by the code of today.

    Args:
        run_id: the run.
        recorded: what its journal says.
        options: how it is gone on with.
        catalog: routing.
        directory: the agents.
        codes: their code.

    Returns:
        What the journal keeps of it: the code that it goes on with, and its new limits.

    Raises:
        UnknownName: its agent or routing file is not here.
        CodeChanged: its code is not what it was, and it is told to refuse that, or to go on with
            what it was.
        LimitReached: its time or money is used up, and it is given no more.
    """
    slug = directory.slug(str(recorded.beginning.get("agent")))
    check_routing(recorded.beginning.get("routing"), catalog)
    how = {"code": codes.of(slug).as_json(), **_limits(run_id, recorded, options)}
    changed = changes(Code.from_json(recorded.code), codes, slug) if recorded.code else []
    if not changed:
        return how
    what = ", ".join(changed)
    policy = policy_of(recorded, options)
    if policy == "pin":
        raise CodeChanged(
            f"run {run_id} goes on with the code that it began with, and what is loaded here is not"
            f" the same: {what}; python -m runtime resume {run_id} loads what was kept, and where"
            " that is not the same either, Python or packages have changed"
        )
    if policy == "refuse":
        raise CodeChanged(
            f"the code of run {run_id} has changed since it was last at work: {what}; bring it"
            " back, or resume with --on-code-change continue: steps of the same content are then"
            " answered from the journal, others are done anew"
        )
    logger.warning(
        "the code has changed since the run was last at work: %s; steps of the same content are"
        " answered from the journal, others are done anew",
        what,
        extra={"run_id": run_id},
    )
    return how | {"changed": changed}


def _limits(run_id: str, recorded: Recorded, options: ResumeOptions) -> dict[str, Any]:
    """Return the limits that are new.

    Raises:
        LimitReached: nothing is left of the old ones.
    """
    new: dict[str, Any] = {}
    if options.deadline != "keep":
        first = recorded.beginning.get("deadline_s") or DEFAULT_DEADLINE_S
        more = first if options.deadline == "extend" else options.deadline
        new["deadline_s"] = recorded.used_s + more
    elif recorded.time_left(DEFAULT_DEADLINE_S) <= 0:
        raise out_of_time(run_id, recorded.used_s)
    if options.budget_usd is not None:
        new["budget_nano_usd"] = int(options.budget_usd * NANO)
    limit = new.get("budget_nano_usd", recorded.budget_nano_usd)
    if limit is not None and recorded.spent >= limit:
        raise LimitReached(
            f"run {run_id} may cost {usd(limit):g} USD, and has cost {usd(recorded.spent):g}, what"
            " was in flight at its worst; resume with --budget-usd USD for the whole run"
        )
    return new
