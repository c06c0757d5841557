"""Sends instances to an archive as they came, each with an outcome of its own.

What the archive takes in no transfer syntax that arrived is sent without compression; where the site wants so, with
corrected attributes, or compressed without loss. An answer that was lost makes an instance be sent again, which is
harmless: it is the same instance.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from gateway.errors import (
    GatewayError,
    NeedsPerson,
    SyntaxNotAcceptedError,
    Unavailable,
    with_fate,
)
from gateway.journey.image_forwarding.auditing import SentImages
from gateway.journey.image_forwarding.committing import CommitmentsWanted
from gateway.journey.image_forwarding.compressing import Compressing
from gateway.journey.image_forwarding.correcting import Correcting, Due
from gateway.journey.image_forwarding.scratch import Scratch
from gateway.journey.image_forwarding.sending import Answer, Sender
from gateway.observe import metrics
from gateway.records.correction import Correction
from gateway.records.image_forwarding import StoreVerdict
from gateway.records.pixel_file import PixelFile
from gateway.records.work import Work
from gateway.spool import Spool, no_disk
from gateway.store import Store, audit, pixel_files
from gateway.store.gathered import Gathered
from gateway.store.outbox_claims import Done
from gateway.wire.dimse.requestor_operations import PLAIN
from gateway.wire.part10_file import Part10File
from gateway.work.breaker import Breaker
from gateway.work.lease import Lease

Transcode = Callable[[Path, Path, str], Awaitable[None]]
"""Writes the instance of the first file to the second, in this transfer syntax without compression."""

MOST_LOSSES: Final = 10
"""Tries that end with the association, while the receiver answers others, before a person is asked."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """How an instance went."""

    answer: Answer
    syntax: str
    """Transfer syntax UID."""
    not_compressed: str = ""
    """Why not, where the instance was to be compressed."""
    corrections: Sequence[Correction] = ()
    remarks: Sequence[str] = ()
    """On the corrections."""


class ImageForwarding:
    """`forward` is what the worker calls for the destination `name`. `correcting`, `compressing`: None does neither;
    `commitments`: None asks for no storage commitment."""

    def __init__(
        self,
        name: str,
        store: Store,
        spool: Spool,
        sender: Sender,
        breaker: Breaker,
        sent: SentImages,
        transcode: Transcode,
        correcting: Correcting | None = None,
        compressing: Compressing | None = None,
        commitments: CommitmentsWanted | None = None,
    ) -> None:
        self._name = name
        self._spool = spool
        self._sender = sender
        self._breaker = breaker
        self._sent = sent
        self._transcode = transcode
        self._correcting = correcting
        self._compressing = compressing
        self._commitments = commitments
        self._files = Gathered(store, pixel_files.of_instances)

    async def forward(self, work: Work, _lease: Lease) -> Done:
        """Send an instance. Raises `Unavailable` when the destination gives no answer or has no room, and `NeedsPerson`
        when it refuses the instance, or when there is no file to be sent."""
        kept = await self._files.ask(int(str(work.payload["instance"])))
        if kept is None or not kept.is_kept:
            raise NeedsPerson("the instance has no file in the spool (any more)", place=work.subject)
        due = None if self._correcting is None else await self._correcting.due(kept.instance)
        path = self._spool.path_of(kept.file)
        file = Part10File(path, kept.sop_class_uid, kept.sop_uid, kept.transfer_syntax_uid)
        try:
            sent = await self._sent_as_due(file, str(work.payload["study"]), due)
        except (NeedsPerson, SyntaxNotAcceptedError):
            raise
        except FileNotFoundError as error:
            raise NeedsPerson(f"cannot be read ({error.strerror})", place=str(file.path)) from error
        except OSError as error:  # of our own disk, which says nothing of the destination
            raise no_disk(error) from error
        except GatewayError as error:
            raise self._failure(error, work) from error
        self._breaker.answered()
        metrics.IMAGES_SENT.labels(self._name, sent.answer.status).inc()
        if sent.answer.verdict is not StoreVerdict.DONE:
            raise sent.answer.failure(self._sender.place)
        return self._done(work, kept, sent)

    async def _sent_as_due(self, file: Part10File, study_uid: str, due: Due | None) -> _Sent:
        async with Scratch(self._spool.folder) as scratch:
            if due is None or self._correcting is None:
                return _Sent(*await self._sent_compressed(file, study_uid, scratch))
            target = await scratch.file("corrected.dcm")
            remarks = await self._correcting.write(file.path, target, due.corrections, due.modification)
            sent = await self._sent_compressed(replace(file, path=target), study_uid, scratch)
            return _Sent(*sent, due.corrections, remarks)

    async def _sent_compressed(self, file: Part10File, study_uid: str, scratch: Scratch) -> tuple[Answer, str, str]:
        """The answer, the transfer syntax in which the instance was sent, and why it was not compressed."""
        smaller, remark = None, ""
        if self._compressing is not None:
            smaller, remark = await self._compressing.written(file, scratch)
        if smaller is not None:
            try:
                return await self._sender.send(smaller, study_uid), smaller.transfer_syntax_uid, ""
            except SyntaxNotAcceptedError:  # then as it arrived
                self._breaker.answered()
        return *await self._sent_as_taken(file, study_uid, scratch), remark

    async def _sent_as_taken(self, file: Part10File, study_uid: str, scratch: Scratch) -> tuple[Answer, str]:
        """The answer, and the transfer syntax in which the instance was sent."""
        try:
            return await self._sender.send(file, study_uid), file.transfer_syntax_uid
        except SyntaxNotAcceptedError as refusal:
            self._breaker.answered()
            syntax = next((one for one in refusal.accepted if one in PLAIN), "")
            if not syntax:
                raise NeedsPerson(str(refusal), place=self._sender.place) from refusal
        target = await scratch.file("instance.dcm")
        await self._transcode(file.path, target, syntax)
        return await self._sender.send(replace(file, path=target, transfer_syntax_uid=syntax), study_uid), syntax

    def _failure(self, error: GatewayError, work: Work) -> GatewayError:
        """What an error of an association comes to."""
        answers_others = self._breaker.away_since is None and self._breaker.answered_at is not None
        failure = self._breaker.failure(error)
        if answers_others and work.attempts + 1 >= MOST_LOSSES and isinstance(failure, Unavailable):
            return with_fate(failure, NeedsPerson)
        return failure

    def _done(self, work: Work, kept: PixelFile, sent: _Sent) -> Done:
        answer = sent.answer
        outcome: dict[str, Any] = {"status": answer.status, "what": answer.what}
        notes = [answer.warning, answer.text, sent.not_compressed]
        if sent.syntax != kept.transfer_syntax_uid:
            outcome["transfer_syntax_uid"] = sent.syntax
            notes.append("sent without compression" if sent.syntax in PLAIN else "compressed without loss")
        if sent.corrections:
            outcome["corrected"] = [one.keyword for one in sent.corrections]
            notes += [f"corrected: {', '.join(outcome['corrected'])}", *sent.remarks]
        if note := "; ".join(filter(None, notes)):
            outcome["note"] = note
        began = self._sent.began(work.payload, kept.sop_class_uid, sent.corrections)
        also = None if began is None else partial(audit.record, happened=began)
        wanted = None if self._commitments is None else self._commitments.of(str(work.payload["study"]))
        return Done(outcome, also, wanted)
