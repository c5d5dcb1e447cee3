"""The spool: spans are in a file when they have ended, and are sent for as long as it takes.

    span.end() -> encoding -> Lane -> Segment (a mapped file) ... Sender -> OTLP/HTTP

Read it in this order:

- ``settings``, ``sampling``, ``span_limits``: what the variables ask for.
- ``tracing``, ``span``: the ``Tracing`` and ``Span`` of this package, made for the spool.
- ``wire``, ``attribute_fields``, ``encoding``: a span as OTLP has it on the wire.
- ``spool``, ``folder``: where spans wait; ``segment``, ``open_spans``, ``mapped_file``: its files;
  ``held_up``: who waits while there is no room.
- ``sender``, ``otlp_http``: how they leave; ``recovery``: what dead processes left.
- ``api_provider``: OpenTelemetry's own interface, for other people's instrumentation.
- ``reading``: what is in a folder, for people and for export.

Importing this package imports nothing else.
"""
