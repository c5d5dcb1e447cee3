"""What the code of a run was: digests of its agents and skills, to notice that they have changed.

``modules`` says whose a module is, ``reading`` what a function consists of, ``codes`` what a run
may reach, and ``sources`` which files that is.
"""

from runtime.code.codes import NOT_FORESEEN, Code, CodeOfRun, Codes, changes
from runtime.code.sources import lay_out, sources_of

__all__ = ["NOT_FORESEEN", "Code", "CodeOfRun", "Codes", "changes", "lay_out", "sources_of"]
