"""What this runtime costs, side by side with bare Python and with peers, in one run.

    python -m benchmarks                      every bench, ours and the bare baselines
    python -m benchmarks messages --peers     one of them, peers too (``make bench-peers`` once)
    python -m benchmarks.check                whether a hot path has become dearer (no clock)

In reading order:

1. ``contender``: what is measured. ``rounds``: turns, medians, ratios. ``row``: the figures.
2. ``worker``, ``workers``: each contender is a process of its own and is told what to do in lines
   of JSON. ``contenders``: their code. ``environments``: where the peers are installed.
3. The benches, each a table of cases and contenders: ``messages``, ``delegations``, ``actors``,
   ``invocations``, ``workflow``, ``storm``, ``startup``, ``scaling`` (with ``soak``), ``spans``,
   ``chaos``, ``cluster``, and ``journal``, ``postgres`` and ``interrupted``, which have tables of
   their own.
4. ``promises``, ``verdicts``: what was promised, and whether a run has kept it. ``table``,
   ``results``, ``plots``: how figures are shown. ``check``, ``instructions``: bounds.

The file of ``--json`` is ``{"machine": {...}, "promises": [{"says": ..., "met": ...}, ...],
"benches": {NAME: {"title": ..., "rows": [...]}}}``; a row has the fields of ``row.Row``, and each
of its ``values`` is ``[lowest, median, highest]``. Those with tables of their own have ``tables``
instead.
"""
