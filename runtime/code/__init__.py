"""What the code of a run was: digests of its agents and skills, to notice that they have changed.

``reading`` says what a function consists of, ``codes`` what a run may reach.
"""

from runtime.code.codes import Code, CodeOfRun, Codes, changes

__all__ = ["Code", "CodeOfRun", "Codes", "changes"]
