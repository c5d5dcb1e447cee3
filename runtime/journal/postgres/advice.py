"""What a person does about an error of PostgreSQL. Pure.

A server names its errors by a code (SQLSTATE). One that refuses a connection, or is not there,
reaches the caller as words only, those of libpq and of the server.
"""

from __future__ import annotations

_BY_CODE = {
    "53100": "free some space on the server's disk; the journal then goes on by itself",
    "53200": "the server needs more memory; the journal then goes on by itself",
    "53300": "end other connections, or raise max_connections of the server",
    "42501": "let the owner of the database run: GRANT CREATE ON DATABASE name TO user",
    "25006": "name the primary server; with several hosts add target_session_attrs=read-write",
    "55P03": "another process keeps it locked: the journal tries again",
    "57014": "it took too long and was broken off: look for a long transaction on the server",
    "40P01": "two processes waited for each other: the journal tries again",
    "26000": "a pooler in between must keep sessions: connect to the server itself",
}
_BY_CLASS = {
    "08": "check that the server runs; the journal then goes on by itself",
    "57": "the server was stopped or starts; the journal goes on by itself once it is there",
    "58": "check the server's disk and its log",
    "XX": "the server's data may be damaged: see its log",
}
_BY_WORDS = (
    ("password", "check the user and the password in the address, in PGPASSWORD or in ~/.pgpass"),
    ("authentication", "check the user, and what pg_hba.conf of the server allows"),
    ("no pg_hba.conf entry", "check the user, and what pg_hba.conf of the server allows"),
    ("role ", "name a user of that server in the address"),
    ("database ", "create it with createdb, or name another one with --db"),
    ("timeout", "check host, port and firewall"),
    ("could not translate host", "check the host's name in the address"),
    ("resolve host", "check the host's name in the address"),
    ("starting up", "wait until the server has started"),
    ("too many clients", _BY_CODE["53300"]),
    ("invalid", "an address is postgresql://user@host:port/dbname?option=value"),
)
_ELSE = "check that the server runs, and host and port in the address"


def advice(code: str | None, message: str) -> str:
    """Return the next step.

    Args:
        code: the SQLSTATE; None where there is none.
        message: what was said.
    """
    if code is not None:
        known = _BY_CODE.get(code) or _BY_CLASS.get(code[:2])
        return known or "see the log of the server"
    return next((step for words, step in _BY_WORDS if words in message), _ELSE)
