"""Where a sentence ends: not after an abbreviation, within a number or before a small letter."""

from __future__ import annotations

import re

LONGEST = 600  # characters; what has no end for longer is cut between words
END = re.compile(r"[.!?…]+[\"'”\u2019»)\]*_]*(?=\s)|[。\uff01\uff1f｡]+[」』”\u2019\uff09】]*")
LAST_WORD = re.compile(r"[^\s(\[\"'“\u2018«]+\Z")
NEXT_WORD = re.compile(r"\s*[\"'“\u2018«(\[*_]*(\w*)")
DOTTED = re.compile(r"(?:\w\.)+\w?\.?|\w\.", re.UNICODE)
FULL_WIDTH = "。\uff01\uff1f｡"
# English, German, French, Spanish, Italian; single letters and dotted ones are caught by DOTTED.
SHORT_FORMS = """
mr mrs ms dr prof st vs etc inc ltd co corp jr sr no nos vol fig figs eq sec ch ed eds al cf
approx dept est resp incl excl min max jan feb mar apr jun jul aug sep sept oct nov dec bzw usw
bspw ggf evtl inkl zzgl nr abs art str hr fr dipl ing sog mio mrd vgl mme mlle env ex av apr
chap sra srta uds pág págs núm dott sig sigg ecc
"""
MONTH_NAMES = """
january february march april may june july august september october november december januar
februar märz mai juni juli oktober dezember janvier février mars avril juin juillet août
septembre octobre novembre décembre enero febrero marzo abril mayo junio julio agosto septiembre
octubre noviembre diciembre
"""
ABBREVIATIONS = frozenset(SHORT_FORMS.split())
MONTHS = frozenset(MONTH_NAMES.split())
ORDINAL_DIGITS = 2


def split_sentences(text: str) -> list[str]:
    """Return the sentences of one paragraph, without the white space around them."""
    sentences = []
    start = 0
    for end in END.finditer(text):
        if _ends_here(text, start, end):
            sentences += _bounded(text[start : end.end()])
            start = end.end()
    return sentences + _bounded(text[start:])


def _ends_here(text: str, start: int, end: re.Match[str]) -> bool:
    if end.group()[0] in FULL_WIDTH:
        return True
    following = NEXT_WORD.match(text, end.end())
    next_word = following.group(1) if following else ""
    if next_word[:1].islower():
        return False
    before = LAST_WORD.search(text, max(start, end.start() - 40), end.start())
    return not (end.group()[0] == "." and before and _stands_for_more(before.group(), next_word))


def _stands_for_more(word: str, next_word: str) -> bool:
    """Return whether the dot after ``word`` belongs to it and does not end a sentence."""
    if word.lower() in ABBREVIATIONS:
        return True
    if word.isdigit():
        return len(word) <= ORDINAL_DIGITS and next_word.lower() in MONTHS
    return word != "I" and DOTTED.fullmatch(word + ".") is not None and not word[0].isdigit()


def _bounded(sentence: str) -> list[str]:
    sentence = sentence.strip()
    parts = []
    while len(sentence) > LONGEST:
        cut = max(sentence.rfind("; ", 0, LONGEST), sentence.rfind(" ", 0, LONGEST))
        cut = cut if cut > 0 else LONGEST
        parts.append(sentence[:cut].strip())
        sentence = sentence[cut:].strip()
    return [part for part in (*parts, sentence) if part]
