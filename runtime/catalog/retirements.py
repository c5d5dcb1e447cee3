"""What ``catalog/retirements.yaml`` says: from which day on a vendor has a model no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from runtime.catalog.values import Day, Entry, ModelName, Name


class RetirementsFile(Entry):
    """The days by vendor and model.

    Attributes:
        retirements: vendor -> model -> the first day on which it is gone, e.g. ``2025-10-28``.
    """

    retirements: Annotated[Mapping[Name, Mapping[ModelName, Day]], Field(min_length=1)]
