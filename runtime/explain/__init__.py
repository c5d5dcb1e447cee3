"""What a question of an agent would come to, and why: told without asking anybody.

- ``explainer``: goes the way of a real question, and stops before it is asked
- ``reasons``: what decided, and where that is written
"""

from __future__ import annotations

from runtime.explain.explainer import Choice, Explainer, Explanation
from runtime.explain.reasons import Reason

__all__ = ["Choice", "Explainer", "Explanation", "Reason"]
