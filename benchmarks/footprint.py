"""What is installed for something: how many distributions, and how large they are.

It is asked of each environment in that environment, so it needs nothing but Python and, where
something is to be told apart from the rest, ``packaging``.
"""

from __future__ import annotations

import json
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

INSTALLERS = {"pip", "setuptools", "wheel"}
MEBIBYTE = 1 << 20


def of_environment() -> dict[str, float]:
    """Return the footprint of a whole environment, but for what installed it."""
    names = {each.name.lower(): each for each in distributions()}
    return _footprint(each for name, each in names.items() if name not in INSTALLERS)


def of_distribution(name: str, beside: Iterable[str]) -> dict[str, float]:
    """Return the footprint of one distribution and all that it needs, without extras.

    Args:
        name: the distribution.
        beside: others; ``beyond`` counts what neither they nor what they need is.
    """
    needed = _needed([name])
    beyond = needed.keys() - _needed(beside).keys() - {name}
    return _footprint(needed.values()) | {"beyond": len(beyond)}


def _footprint(found: Iterable[Distribution]) -> dict[str, float]:
    all_of_them = list(found)
    return {
        "distributions": len(all_of_them),
        "installed_mb": sum(map(_size, all_of_them)) / MEBIBYTE,
    }


def _size(one: Distribution) -> int:
    files = (file.locate() for file in one.files or ())
    return sum(file.stat().st_size for file in files if file.is_file())  # type: ignore[attr-defined]  # a Path


def _needed(names: Iterable[str]) -> dict[str, Distribution]:
    from packaging.requirements import Requirement  # noqa: PLC0415  # not in every environment

    found: dict[str, Distribution] = {}
    left = list(names)
    while left:
        key = left.pop().lower().replace("_", "-")
        if key in found:
            continue
        try:
            found[key] = distribution(key)
        except PackageNotFoundError:  # of another system or Python
            continue
        for text in found[key].requires or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                left.append(wanted.name)
    return found


def main() -> None:
    """Print the footprint of this environment as JSON."""
    print(json.dumps(of_environment()))
