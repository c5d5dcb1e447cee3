"""The command line: ``python -m runtime ...``. A result goes to stdout, all else to stderr.

In reading order:

- ``main``: the table of commands, and what a process ends with
- ``lazy``: a group that imports a command when it is called, so that ``--help`` is quick
- ``failures``: an exception becomes lines and an exit code
- ``streams``: writing where the reader may have left; leaving while threads still run
- ``options``, ``places``, ``payload``: what is typed, and where journal and catalog are
- ``commission`` and ``workplace``: what all are told that have agents work, and where they do it
- ``run``, on top of ``execution`` (one run), ``interrupts`` (Ctrl-C), ``logs``, ``report`` (what
  came of it), ``progress`` (the tree of agents as data) and ``screen`` (the same on a terminal)
- ``machines``: where the work is done; ``up`` (be a node), on top of ``serving``, and ``nodes``
  (who is one), on top of ``node_list``, with ``node_table`` and ``live_text``
- ``invoke``, on top of ``asking`` (who asks), ``prompt`` (one prompt), ``bulk`` (many lines) and
  ``bulk_screen`` (how far they are, on a terminal)
- ``listing`` and ``catalog``, on top of ``contents`` and ``checks``: what there is, and whether it
  is right
- ``runs`` and ``show``, on top of ``run_table`` and ``run_page``, ``history`` (the journal, read),
  ``story`` (a run as a tree of delegations), ``liveness`` and ``text``
- ``replay``, on top of ``replaying``; ``fork``, on
  top of ``forking``; ``diff``, on top of ``diff_page``;
  ``step_lines``: steps as people see them
- ``trace``, on top of ``trace_page``: a run's waterfall, from ``trace_span`` (one span) by
  ``trace_tree`` (from events to spans), ``trace_lines`` (which are shown; ``crowds`` says how
  many) and ``trace_waterfall`` (drawn); ``trace_open`` and ``run_link`` lead to Jaeger's own, on
  top of ``trace_ui`` (what Jaeger says)
- ``scaffold``, ``templates``: a first agent

What a command needs to say its ``--help`` is in the module of its name; what it needs to work is
imported when it is called.
"""
