"""The journal in PostgreSQL, for processes on several machines: an extra.

In reading order:

- ``dialect``: the journal's statements as this database takes them; pure
- ``advice``: what a person does about its errors; pure
- ``driver``: a connection that speaks the dialect; all of psycopg that there is
- ``schema``: the tables, in a schema of their own
- ``store``: what the writer's thread writes, and how it goes on when the server was away
- ``source``: queries beside it
- ``journal``: ``PostgresJournal``

Nothing here is imported before somebody names such a database, and psycopg only by ``driver``.
"""
