"""Summarising without a language model: sentences are picked, never written.

In reading order:

- ``prompt_parts``: which part of a prompt is the instruction and which the document
- ``markdown``: headings, paragraphs and list items of a document, without its markup
- ``sentences``: where a sentence ends;  ``terms``: the words that carry meaning
- ``outline``: a document as sentences with their place;  ``ranking``: which of them matter
- ``facts``: numbers, dates and addresses, and which of them a name asks for
- ``keyphrases``: what a document is about, in a few words
- ``fields``: values for the fields of a schema, found by their names
"""
