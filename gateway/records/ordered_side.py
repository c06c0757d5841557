"""The side of the body that an order names: HL7 and the worklist have no attribute of it, so words of its texts do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_WORDS: Final = {
    "L": "left lt links linke linker linkes lks li gauche izquierda izquierdo sinistra sinistro esquerda esquerdo "
    "venstre vänster lewa lewy",
    "R": "right rt rechts rechte rechter rechtes re droite droit derecha derecho destra destro direita direito "
    "højre höger høyre prawa prawy",
    "B": "both bilateral bilateralis bds beidseits beide beider beidseitig bilatéral bilatérale bilaterale ambos ambas "
    "beiderseits",
}
_SIDE_OF: Final = {word: side for side, words in _WORDS.items() for word in words.split()}
_SPLIT: Final = re.compile(r"[^\w]+")


def ordered_sides(texts: Iterable[str]) -> frozenset[str]:
    """L or R, if the texts name this side alone; empty where they name none or both."""
    sides = {_SIDE_OF[word] for text in texts for word in _SPLIT.split(text.casefold()) if word in _SIDE_OF}
    return frozenset(sides) if len(sides) == 1 and "B" not in sides else frozenset()
