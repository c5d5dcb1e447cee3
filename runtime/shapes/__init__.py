"""JSON that somebody else wrote, in OpenAI's shapes: lines of ``invoke``, ``model_config`` of code.

- ``fields``: a JSON object, read with every fault named
- ``tool_shape``: tools, the form of the answer, thinking
"""
