"""What a receiver answers to a message: MSA and ERR of an acknowledgement (HL7 2.5.1 ch. 2.9.2, 2.14.8, 2.14.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.errors import Malformed, Place
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.parsing import parse

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]+")
ACCEPTED: Final = frozenset({"AA", "CA"})
REFUSED: Final = frozenset({"AE", "AR", "CE", "CR"})


@dataclass(frozen=True, slots=True)
class ReceivedAcknowledgement:
    """An acknowledgement."""

    code: str
    """MSA-1, table 0008."""
    control_id: str
    """MSA-2: MSH-10 of the message that it is for."""
    text: str
    """The receiver's own words: MSA-3, then what each ERR says."""

    @property
    def accepts(self) -> bool:
        return self.code in ACCEPTED


def read_answer(raw: bytes) -> ReceivedAcknowledgement:
    """Raises `Malformed` for what is no acknowledgement."""
    message = parse(raw, replace_undecodable=True)
    msa = message.first("MSA")
    if msa is None or msa.leaf(1) not in ACCEPTED | REFUSED:
        raise Malformed("the answer has no MSA with a code of table 0008", place=Place("MSA", 1))
    return ReceivedAcknowledgement(msa.leaf(1), msa.leaf(2), "; ".join(dict.fromkeys(_words(message, msa.leaf(3)))))


def _words(message: Message, text: str) -> list[str]:
    words = [text]
    for err in message.all("ERR"):
        # 2.5 and later: ERR-2 place, ERR-3 code, ERR-7 and ERR-8 words; before, ERR-1 alone.
        place = "-".join(part for part in (err.leaf(2), err.leaf(2, 3)) if part)
        stated = [err.leaf(8) or err.leaf(3, 2), err.leaf(7)] if err.field(3) else [err.leaf(1, 4, 2), err.leaf(1, 4)]
        reason = " ".join(dict.fromkeys(part for part in stated if part))
        words.append(f"{place}: {reason}" if place and reason else reason)
    return [plain for one in words if (plain := _UNPRINTABLE.sub(" ", one).strip())]
