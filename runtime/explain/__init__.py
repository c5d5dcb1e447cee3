"""What a question of an agent would come to, and why: told without asking anybody.

- ``explainer``: goes the way of a real question, and stops before it is asked
- ``explanation``: what it finds, and whether limits have room for it
- ``reasons``: what decided, and where that is written
"""

from __future__ import annotations

from runtime.explain.explainer import Explainer
from runtime.explain.explanation import Choice, Explanation, check_limits
from runtime.explain.reasons import Reason

__all__ = ["Choice", "Explainer", "Explanation", "Reason", "check_limits"]
