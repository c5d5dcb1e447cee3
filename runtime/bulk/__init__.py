"""Model calls in bulk: one JSON object per line in, one per line out, through the provider actors.

In reading order:

- ``line``: one line of the input becomes a request, or a refusal. ``chat_shape`` reads turns in
  OpenAI's shape (the rest of it is read by ``runtime.shapes``), ``extra_body`` what only a vendor
  knows.
- ``destination``: the account that a line asks, and whether its key may go there. ``allowance``:
  its limits, where the command line names them.
- ``call``: one line's call. ``outcome``: what came of it, as an object of the output.
- ``source``: bytes become numbered lines. ``identity``: which lines are the same one.
- ``order``: answers in the order of the input. ``sinks``: where they go. ``resume``: a file of
  answers that a crash cannot harm, and that a later call goes on with. ``outbox``: what waits to be
  written, bounded. ``pipeline``: all of it together, the main path.
"""
