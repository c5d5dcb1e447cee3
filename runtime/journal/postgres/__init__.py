"""The journal in PostgreSQL, for processes on several machines: an extra.

In reading order:

- ``dialect``: the journal's statements as this database takes them; pure
- ``advice``: what a person does about its errors; pure
- ``driver``: a connection that speaks the dialect; all of psycopg that there is
- ``schema``: the tables, in a schema of their own
- ``locks``, ``store``: what the writer's thread locks and writes, and how it goes on when the
  server was away
- ``source``, ``search``: queries beside it; ``broom``: old runs go
- ``journal``: ``PostgresJournal``

Nothing here is imported before somebody names such a database, and psycopg only by ``driver``.
"""
