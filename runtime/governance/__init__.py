"""Whether a step may be taken and whether it can be paid: pure functions on data.

In reading order: ``policy`` (Allow or Deny, before each call), ``tools`` (which may be used),
``lifecycle`` (which models are retired), ``cost`` (what tokens cost, in integer nano-USD),
``budget`` (reserve the worst case, settle what it was).
"""
