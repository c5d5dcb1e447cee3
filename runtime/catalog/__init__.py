"""The catalog: a folder of YAML that says which agents there are, who is asked and what is allowed.

In reading order:

- ``faults``: what is wrong, where, and what to do; all of it at once.
- ``document``, ``source``, ``tree``: a YAML file as data, with the place of every value.
- ``values``, ``fields``: the types that entries are made of.
- ``agents``, ``providers`` with its ``allowances``, ``routes`` with each ``route``, ``policies``,
  ``prices``, ``retirements``: the entries. ``policy``: a policy as plain data.
- ``fallback``: who is asked when a target fails.
- ``breach``, ``provider_rules``, ``routing_rules``, ``rules``, ``explain``, ``check``: one file
  against its type, in plain sentences.
- ``discover``, ``contents``, ``entrypoints``, ``route_references``, ``references``: the files
  against each other.
- ``kinds``, ``load``, ``catalog``: a folder becomes a ``Catalog``.
- ``profile``: a provider's entry and the environment become an account.
- ``gates``, ``gate``: the policies of ``flow gate``.
- ``schema``: the same rules for editors; imported from there, for no run needs it.
"""

from __future__ import annotations

from runtime.catalog.agents import AgentEntry, BackoffEntry, SkillEntry, WorkflowEntry
from runtime.catalog.catalog import Catalog, Retirement
from runtime.catalog.document import Origin, Position
from runtime.catalog.entrypoints import split_entrypoint
from runtime.catalog.fallback import fallbacks, key_of
from runtime.catalog.faults import CatalogFaults, Fault
from runtime.catalog.fields import FieldEntry, fields_to_model
from runtime.catalog.gate import Gate, read_gate
from runtime.catalog.load import load_catalog
from runtime.catalog.policy import Cap, Policy, Subject, ToolRule, Tools, Window
from runtime.catalog.profile import NotConfigured, profile_of
from runtime.catalog.providers import ModelEntry, ProviderEntry
from runtime.catalog.route import AttemptsEntry, FallbackWord, NeedsEntry, RouteEntry
from runtime.catalog.routes import RoutingFile, Target, find_targets, owner_of, stands_for

__all__ = [
    "AgentEntry",
    "AttemptsEntry",
    "BackoffEntry",
    "Cap",
    "Catalog",
    "CatalogFaults",
    "FallbackWord",
    "Fault",
    "FieldEntry",
    "Gate",
    "ModelEntry",
    "NeedsEntry",
    "NotConfigured",
    "Origin",
    "Policy",
    "Position",
    "ProviderEntry",
    "Retirement",
    "RouteEntry",
    "RoutingFile",
    "SkillEntry",
    "Subject",
    "Target",
    "ToolRule",
    "Tools",
    "Window",
    "WorkflowEntry",
    "fallbacks",
    "fields_to_model",
    "find_targets",
    "key_of",
    "load_catalog",
    "owner_of",
    "profile_of",
    "read_gate",
    "split_entrypoint",
    "stands_for",
]
