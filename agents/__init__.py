"""The agents of this workspace: four examples, and room for your own.

In reading order:

1. ``hello``: the tutorial, one agent of a few lines.
2. ``digest``: a MAG that fans out over documents, and the SAG that reads one of them (skills:
   ``documents``, output: ``digest_report``).
3. ``offer``: a MAG with typed tasks (input: ``offer_request``), and its SAG ``compensation``
   (rules: ``pay``, skill: ``transform``).
4. ``classic_analysis``: a plain ``def run(payload, *, registry, skills, runner, obs)``.

What each may do and cost is said in ``catalog``; ``python -m runtime init NAME`` adds one.
"""
