"""The words of a sentence that carry meaning, in a form in which they can be compared."""

from __future__ import annotations

import re
from functools import lru_cache

# Han and kana stand without spaces between words; two characters next to each other serve as one.
WIDE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
ADDRESS = re.compile(r"https?://\S+")
WORD = re.compile(
    rf"[{WIDE}]+|[^\W_{WIDE}](?:[^\W{WIDE}]|['\u2019+#.-](?=[^\W{WIDE}]))*[+#]{{0,2}}"
)
IS_WIDE = re.compile(f"[{WIDE}]")
ENDS_IN_S_ALONE = ("ss", "us", "is", "os", "ws")
SHORTEST_PLURAL = 4
ENGLISH = """
a about above after again against all also am an and any are as at be because been before being
below between both but by can cannot could did do does doing don down during each either else
etc even ever every few for from further get gets got had has have having he her here hers him
his how however i if in into is it its itself just like made make makes many may me might more
most much must my need needs neither no nor not now of off on once one only or other our out
over own per rather same see shall she should since so some such than that the their them then
there these they this those through thus to too under until up upon us use used uses using very
was way we well were what when where whether which while who whom whose why will with within
without would yet you your yours let via please it's don't
"""
GERMAN = """
aber als am an auch auf aus bei bin bis da das dass dem den der des die doch du durch ein eine
einem einen einer eines er es für hat haben hier ich ihr ihre im ins ist kann kein keine man mit
nach nicht noch nur ob oder ohne sein seine sich sie sind so über um und uns unter vom von vor
war was wenn werden wie wir wird wurde zu zum zur
"""
FRENCH = """
au aux avec ce ces cette dans de du elle elles en est et il ils je la le les leur lui mais ne
nous on ou où par pas plus pour qu que qui sa se ses son sont sur une vous
"""
SPANISH_PORTUGUESE_ITALIAN = """
al como con del desde el ella ellos esta este fue ha hay las lo los más muy o para pero por sin
sobre su sus también un una y ya ao das dos e em foi mais na nas nos não os pela pelo são uma
che chi ci cui della delle di gli i il loro nel nella non per più quando questa questo sono tra
"""
STOP_WORDS = frozenset(f"{ENGLISH} {GERMAN} {FRENCH} {SPANISH_PORTUGUESE_ITALIAN}".split())


def words(text: str) -> list[str]:
    """Return every word of ``text`` as it is written; a run of Han or kana is one."""
    return WORD.findall(ADDRESS.sub(" ", text))


def terms(text: str) -> list[str]:
    """Return the words of ``text`` that carry meaning, folded, in their order."""
    found = []
    for word in words(text):
        if IS_WIDE.match(word):
            found += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
        elif folded := fold(word):
            found.append(folded)
    return found


@lru_cache(maxsize=65_536)
def fold(word: str) -> str:
    """Return ``word`` in the form in which it is compared; empty when it carries no meaning.

    Case goes, and an English plural or possessive ending. Numbers and single letters go, too.
    """
    folded = word.casefold().replace("\u2019", "'").removesuffix("'s")
    if len(folded) == 1 or folded in STOP_WORDS or folded.replace(".", "").isdigit():
        return ""
    return _singular(folded) if folded.isascii() else folded


def _singular(word: str) -> str:
    if len(word) < SHORTEST_PLURAL or not word.endswith("s") or word.endswith(ENDS_IN_S_ALONE):
        return word
    return word[:-3] + "y" if word.endswith("ies") and len(word) > SHORTEST_PLURAL else word[:-1]
