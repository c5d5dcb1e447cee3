"""The contenders: a module for each library, a function for each thing that it is measured at.

``driving`` is how they are driven, ``plain``, ``by_hand`` what Python can do by itself. Ours are
``kernel`` (actors), ``pipeline`` (delegations), ``calls`` (model calls and workflows). All others
have the name of the peer. Each is imported in a process of its own, in its own environment.
"""
