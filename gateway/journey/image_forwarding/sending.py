"""How an instance is brought to a receiver: what C-STORE, STOW-RS and a folder have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from gateway.errors import GatewayError, NeedsPerson, Unavailable, Unexplained
from gateway.records.image_forwarding import StoreVerdict, store_verdict, warning_of
from gateway.wire.part10_file import Part10File

_PASSING: Final = {StoreVerdict.RETRY: Unavailable, StoreVerdict.DOUBT: Unexplained}
"""Errors of the answers after which an instance is sent again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answers to an instance."""

    what: str
    """How the instance was sent, such as `C-STORE`."""
    status: str
    """As the outcome and the metrics have it, such as `A700` or `HTTP 500`."""
    verdict: StoreVerdict
    warning: str = ""
    """What the receiver did otherwise than asked; empty: nothing."""
    text: str = ""
    """The receiver's own words."""
    retry_after: float | None = None
    """When the receiver wants to be asked again, in seconds."""

    @classmethod
    def of_status(cls, what: str, status: int, text: str) -> Answer:
        """The answer that a status of C-STORE is, or a reason of STOW-RS, which has the same numbers."""
        return cls(what, f"{status:04X}", store_verdict(status), warning_of(status), text if status else "")

    def failure(self, place: str) -> GatewayError:
        """The error that an answer other than success comes to. `place`: of the receiver."""
        words = " ".join(filter(None, (f"{self.what} status {self.status}", self.text)))
        kind = _PASSING.get(self.verdict)
        error: GatewayError = NeedsPerson(words, place=place)
        if kind is not None:
            error = kind(words, place=place, retry_after=self.retry_after)
        error.details = {"status": self.status}
        return error


class Sender(Protocol):
    """A way to one receiver, for many instances at once."""

    @property
    def place(self) -> str:
        """The receiver, as errors and the audit trail name it."""

    async def takes(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """Whether the receiver takes the SOP class in a transfer syntax, as far as can be known without sending.

        Raises `Unavailable` and what else keeps the receiver from being asked.
        """

    async def send(self, file: Part10File, study_uid: str) -> Answer:
        """Bring an instance of a study to the receiver, in the transfer syntax of the file.

        Raises `SyntaxNotAcceptedError` where the receiver takes the SOP class in others alone, `UnsupportedType` where
        in none, `Unavailable` when there is no answer, `NeedsPerson` when the file cannot be read.
        """
