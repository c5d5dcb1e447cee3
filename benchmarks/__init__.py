"""Throughput, side by side with the physical limit in Python, in one run.

    python -m benchmarks                 every bench
    python -m benchmarks asks --json F   one of them, and its figures as JSON

In reading order: ``measure`` (alternating rounds, medians, CPU beside wall), ``asks`` (the kernel),
``delegations`` (the whole pipeline). A bench is a table of contenders; to add one, add a row.
"""
