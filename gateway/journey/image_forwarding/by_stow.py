"""Instances go to an archive by STOW-RS (PS3.18 10.5)."""

from __future__ import annotations

from typing import Final

from gateway.errors import SyntaxNotAcceptedError, Unavailable
from gateway.journey.image_forwarding.sending import Answer
from gateway.records.image_forwarding import DUPLICATE, StoreVerdict, store_verdict, warning_of
from gateway.wire.dicomweb.store_answer import Listed, StoreAnswer
from gateway.wire.dicomweb.storing import StowClient
from gateway.wire.dimse.requestor_operations import PLAIN
from gateway.wire.http import RETRYABLE
from gateway.wire.part10_file import Part10File

STOW: Final = "STOW-RS"
_SYNTAX_NOT_SUPPORTED: Final = 0xC122
"""Failure Reason: Referenced Transfer Syntax Not Supported (PS3.18 Table I.2-2)."""
_UNSUPPORTED_MEDIA_TYPE: Final = 415
_CONFLICT: Final = 409
"""No instance was stored (PS3.18 Table 10.5.3-1): nothing that another writer did."""


class StowSender:
    """Sends by `client`."""

    def __init__(self, client: StowClient) -> None:
        self._client = client
        self._refused: set[tuple[str, str]] = set()
        """SOP classes and transfer syntaxes; a restart asks again."""

    @property
    def place(self) -> str:
        return self._client.place

    async def takes(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """See `Sender.takes`: what was refused once tells."""
        return (sop_class_uid, transfer_syntax_uid) not in self._refused

    async def send(self, file: Part10File, study_uid: str) -> Answer:
        """See `Sender.send`."""
        answer = await self._client.store(file)
        refuses_syntax = answer.reason == _SYNTAX_NOT_SUPPORTED or answer.http_status == _UNSUPPORTED_MEDIA_TYPE
        if refuses_syntax and file.transfer_syntax_uid not in PLAIN:
            self._refused.add((file.sop_class_uid, file.transfer_syntax_uid))
            raise SyntaxNotAcceptedError(PLAIN, place=self.place)
        if answer.listed is Listed.NOWHERE and answer.http_status in RETRYABLE - {_CONFLICT}:
            text = f"{STOW} status HTTP {answer.http_status} {answer.text}".strip()
            passing = Unavailable(text, place=self.place, retry_after=answer.retry_after)
            passing.details = {"status": f"HTTP {answer.http_status}"}
            raise passing
        return judged(answer)


def judged(answer: StoreAnswer) -> Answer:
    """What an answer comes to. Nothing but an instance that is listed as stored is stored, whatever the status."""
    if answer.listed is Listed.FAILED and answer.reason is not None:
        return Answer(STOW, f"{answer.reason:04X}", _of_failure(answer.reason), text=f"(HTTP {answer.http_status})")
    if answer.listed is Listed.STORED and answer.is_successful:
        return Answer(STOW, f"HTTP {answer.http_status}", StoreVerdict.DONE, warning_of(answer.reason or 0))
    verdict, text = StoreVerdict.PARK, answer.text
    if answer.listed is Listed.FAILED:
        verdict, text = StoreVerdict.DOUBT, "the instance is listed as failed, without a reason"
    elif answer.is_successful:
        verdict, text = StoreVerdict.DOUBT, "the instance is listed neither as stored nor as failed"
    elif answer.http_status == _CONFLICT:
        verdict = StoreVerdict.DOUBT
    return Answer(STOW, f"HTTP {answer.http_status}", verdict, text=text)


def _of_failure(reason: int) -> StoreVerdict:
    """By a Failure Reason, of which only that the server has the instance already is no failure."""
    verdict = store_verdict(reason)
    return StoreVerdict.PARK if verdict is StoreVerdict.DONE and reason != DUPLICATE else verdict
