"""The acknowledgements of a listener: the only place where one is built, in original and in enhanced mode."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from gateway.clock import dtm_of
from gateway.errors import GatewayError, Malformed, Place
from gateway.journey.order_intake.codes import acknowledgement_code, condition_code
from gateway.journey.order_intake.reading import Reading
from gateway.value_class import value_class
from gateway.wire.hl7.acknowledgement import Problem, acknowledge, recoded, reject_unreadable
from gateway.wire.hl7.batch import Batch
from gateway.wire.hl7.batch import answer as answer_batch
from gateway.wire.hl7.message import Message

MOST_PROBLEMS: Final = 50
"""ERR segments of one acknowledgement."""


@value_class
class Acknowledgement:
    """MSA-1 and the whole message that carries the code."""

    code: str
    block: bytes


class Acknowledger:
    """Builds acknowledgements; gives each its own MSH-10."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def of(self, raw: bytes, message: Message | None, error: GatewayError | None, now: int) -> Acknowledgement:
        """The application acknowledgement (HL7 2.5.1 ch. 2.9.2) of `raw`, as far as the message could be read.

        `error`: None for AA. `now`: microseconds.
        """
        number, moment = self._control_id(now), dtm_of(now)
        if message is None:
            error = error or Malformed("not readable", place=Place("MSH"))
            code = acknowledgement_code(error)
            return Acknowledgement(
                code, reject_unreadable(raw, problem_of(error), code=code, control_id=number, now=moment)
            )
        if error is None:
            return Acknowledgement("AA", acknowledge(message, "AA", (), control_id=number, now=moment))
        code = acknowledgement_code(error)
        problems = [problem_of(one) for one in (error, *error.others)[:MOST_PROBLEMS]]
        return Acknowledgement(code, acknowledge(message, code, problems, control_id=number, now=moment))

    def blocks(self, reading: Reading, acknowledgement: Acknowledgement, now: int) -> Sequence[bytes]:
        """The blocks that the sender's mode asks for."""
        if reading.sender is None or reading.sender.acknowledge == "original" or reading.message is None:
            return (acknowledgement.block,)
        return self._enhanced(reading.message, acknowledgement, now)

    def _enhanced(self, message: Message, acknowledgement: Acknowledgement, now: int) -> Sequence[bytes]:
        """The accept acknowledgement, then the application's, as MSH-15 and MSH-16 ask (HL7 2.5.1 ch. 2.9.3).

        A message that was kept is accepted (CA), whatever the application acknowledgement is. Where MSH-16 wants no
        application acknowledgement, CE stands for AE.
        """
        code, block = acknowledgement.code, acknowledgement.block
        accept, application = message.accept_acknowledgement, message.application_acknowledgement
        if not accept and not application:
            return (block,)
        wants_application = wants(application, code)
        commit = {"AA": "CA", "AE": "CA" if wants_application else "CE"}.get(code, "CR")
        blocks = []
        if wants(accept, commit):
            blocks.append(recoded(message, block, commit, control_id=self._control_id(now), now=dtm_of(now)))
        if wants_application and (commit != "CR" or not blocks):
            # A message that is not accepted has no application acknowledgement, unless nothing else would be sent.
            blocks.append(block)
        return blocks

    def batch(self, batch: Batch, blocks: Sequence[bytes], now: int) -> bytes:
        """One batch that holds the acknowledgements of a batch (HL7 2.5.1 ch. 2.10.3)."""
        return answer_batch(batch, blocks, control_id=self._control_id(now), now=dtm_of(now))

    def _control_id(self, now: int) -> str:
        return f"{now:x}{next(self._numbers) % 0x10000:04x}"


def wants(condition: str, code: str) -> bool:
    """Whether MSH-15 or MSH-16 (table 0155) asks for an acknowledgement of this code."""
    return condition == "AL" or condition == ("SU" if code.endswith("A") else "ER")


def problem_of(error: GatewayError) -> Problem:
    """The ERR segment of an error, with its place as an ERL."""
    return Problem(condition_code(error), str(error), error_location(error.place))


def error_location(place: Place | str) -> str:
    """A place as an ERL: segment^sequence^field^repetition^component^subcomponent; empty outside of messages."""
    if isinstance(place, str):
        return ""
    parts = [place.segment, str(place.sequence or place.group_number or 1)]
    if place.field:
        parts += [str(place.field), "1"]
        if place.component:
            parts.append(str(place.component))
        if place.subcomponent:
            parts.append(str(place.subcomponent))
    return "^".join(parts)
