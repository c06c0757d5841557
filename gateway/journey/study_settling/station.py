"""Station `study_settling`: a study that is complete or quiet becomes resources, a delivery for each EHR; and again
when it has grown or changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, tzinfo
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import Conflict, NeedsPerson, Rejected, Unavailable, with_fate
from gateway.journey.study_settling import moving, order_checking, preparing
from gateway.journey.study_settling.one_patient import one_patient
from gateway.journey.study_settling.targets import EhrTarget, ResourcePreview
from gateway.journey.study_settling.whole_again import whole_again
from gateway.mapping.language import missing
from gateway.mapping.studies.imaging_study import StudyMapping
from gateway.mapping.studies.remarks import is_id
from gateway.mapping.studies.search_values import findable
from gateway.records.completeness import Decision
from gateway.records.delivery import Delivery
from gateway.records.digest import digest_of
from gateway.records.finding import Finding
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.missing_code import MissingCode
from gateway.records.order_check import DEFAULTS, FoundConflict, OrderStanding, Policies, standing_with
from gateway.records.rejection import number_rejected
from gateway.records.study import Shape, Study
from gateway.records.work import Lane, Work, delivery_to
from gateway.store import (
    Store,
    deleted_studies,
    imaging_studies,
    moved_instances,
    order_conflicts,
    outbox,
    settling,
    station_pauses,
    studies,
    study_findings,
    unknown_codes,
)
from gateway.store.deleted_studies import DeletedStudy
from gateway.store.moved_instances import NOTHING_FOUND, Found
from gateway.store.outbox import NEVER
from gateway.store.outbox_claims import Done
from gateway.wire.fhir.validation import faults_of

log = logging.getLogger(__name__)


ReadAgain = Callable[[StudyInstanceUID], Awaitable[object]]
"""Reads a study anew from the headers that are kept, and lets it settle."""

Consequence = Callable[[Connection, Study], None]
"""What follows from a study that has settled, in the transaction that settles it."""


class _Looked(NamedTuple):
    """What is found of a study that may settle."""

    decision: Decision
    until: int
    study: Study | None = None
    deleted: DeletedStudy | None = None
    moves: Found = NOTHING_FOUND
    shared: Sequence[Finding] = ()
    """That other studies have UIDs of it."""


class ImagingStudyStation:
    """Builds and validates; `settle` is what the worker calls for work of kind `settle`."""

    def __init__(
        self,
        store: Store,
        mapping: StudyMapping,
        targets: Sequence[EhrTarget],
        clock: Clock,
        *,
        longest_wait: int = NEVER,
        learns: bool = False,
        read_again: ReadAgain | None = None,
        served: Shape | None = None,
        zone: tzinfo = UTC,
        consequences: Sequence[Consequence] = (),
        policies: Policies = DEFAULTS,
    ) -> None:
        """`longest_wait`: microseconds after which a study settles whatever is missing; `learns`: pauses between
        instances are kept, for the quiet times of stations; `read_again` reads a study anew from its headers, without
        what is rejected meanwhile, and lets it settle; `served`: how studies are kept
        for those who read them here, None if nobody does; `zone` is that of a `started` without one; `policies`: what
        differences between a study and its order lead to."""
        self._store = store
        self._mapping = mapping
        self._targets = targets
        self._clock = clock
        self._longest_wait = longest_wait
        self._learns = learns
        self._read_again = read_again
        self._served = served
        self._zone = zone
        self._consequences = consequences
        self._policies = policies
        self._shapes = list(dict.fromkeys([*(target.shape for target in targets), *([served] if served else [])]))

    async def prepare(self) -> None:
        """Have ready what the first study after a start would wait for (`preparing`)."""
        await self._store.read(preparing.look)
        # The mapping of a site may ask for what the made-up study does not have.
        with suppress(NeedsPerson):
            for shape in self._shapes:
                await asyncio.to_thread(self._build, preparing.MADE_UP, shape)

    async def settle(self, work: Work) -> Done:
        """Turn the study into deliveries, unless nothing an EHR would see has changed; leave it waiting while the
        evidence states that something of it is to come (`gateway.records.completeness`).

        Raises `NeedsPerson` when the study has no valid form in FHIR, `HeldByOrder` when its order states something
        else; the study stays, the work is parked.
        """
        decision, until, study, deleted, moves, shared = await self._store.read(partial(self._looked, work=work))
        if not decision.settles:
            return Done(until=until, also=partial(self._wait, work=work))
        if study is None:
            raise NeedsPerson("the study is not in the database", place=work.subject)
        if self._read_again is not None and _must_be_read(study, moves):
            return await self._read_anew(study, moves, self._read_again)
        one_patient(study)
        if deleted is not None:
            whole_again(study, deleted)
        found = await self._checked(study)
        findings = [*study.findings, *order_checking.findings_of(found), *moving.refused(moves)]
        codes: set[MissingCode] = set()
        bodies = {shape: await asyncio.to_thread(self._build, study, shape, findings, codes) for shape in self._shapes}
        remarkable = list(dict.fromkeys(findings))
        _log(work, [*remarkable, *shared])
        return Done(
            {"revision": study.revision, "because": decision.as_row()},
            lambda connection: self._deliver(connection, study, bodies, remarkable, codes, decision, found, moves),
        )

    async def _read_anew(self, study: Study, moves: Found, read_again: ReadAgain) -> Done:
        """Have the study read again, without what has moved; it settles once more then. Raises `Unavailable` while
        instances come."""
        if study.uid in moves.studies:
            await self._store.write(partial(moving.leave, study_uid=study.uid, before=moves, now=self._clock()))
        try:
            await read_again(study.uid)
        except Conflict as error:
            raise with_fate(error, Unavailable) from error
        return Done({"revision": study.revision, "note": "read again"})

    async def _checked(self, study: Study) -> list[FoundConflict]:
        """What the study and its orders state differently. Raises `HeldByOrder`, once that is noted."""
        found = order_checking.found_of(study, self._policies)
        if (error := order_checking.held(found)) is not None and (self._targets or self._served):
            await self._store.write(partial(self._note_orders, study=study, found=found))
            raise error
        return found

    def _note_orders(self, connection: Connection, study: Study, found: Sequence[FoundConflict]) -> None:
        # Nobody need look for the order of a study of which nothing is left.
        standing = OrderStanding.UNKNOWN if moving.is_left(study) else standing_with(study.orders, found)
        order_conflicts.note(connection, study.uid, found, standing, now=self._clock())

    def _looked(self, connection: Connection, work: Work) -> _Looked:
        decision, until = settling.look(connection, work, now=self._clock(), longest=self._longest_wait)
        if not decision.settles:
            return _Looked(decision, until)
        uid = work.subject
        moves = moved_instances.find(connection, uid)
        study = studies.load(connection, uid, taken_over=moves.taken_over)
        shared = study_findings.shared_by(connection, uid, has_copies=moves.has_copies)
        return _Looked(decision, until, study, deleted_studies.get(connection, uid), moves, shared)

    def _wait(self, connection: Connection, work: Work) -> None:
        settling.wait(connection, work, now=self._clock(), longest=self._longest_wait)

    async def preview(self, study_uid: StudyInstanceUID) -> list[ResourcePreview]:
        """The resource that `settle` would make now, for each EHR; nothing is kept or sent. Empty: there is no such
        study."""
        study = await self._store.read(lambda connection: studies.load(connection, study_uid))
        if study is None:
            return []
        made = {
            shape: await asyncio.to_thread(self._tried, study, shape)
            for shape in dict.fromkeys(target.shape for target in self._targets)
        }
        return [ResourcePreview(target.name, *made[target.shape]) for target in self._targets]

    def _tried(self, study: Study, shape: Shape) -> tuple[dict[str, Any] | None, str]:
        try:
            one_patient(study)
            return self._build(study, shape)[0], ""
        except NeedsPerson as error:
            return None, str(error)

    def _build(
        self,
        study: Study,
        shape: Shape,
        findings: list[Finding] | None = None,
        codes: set[MissingCode] | None = None,
    ) -> tuple[dict[str, Any], str]:
        """`codes`, if given, collects those that no table has."""
        try:
            with missing.collected() as lacking:
                resource = self._mapping.build(study, shape=shape, findings=findings)
            if codes is not None:
                codes |= lacking
        except Rejected as error:
            # No sender waits for an answer: a person here must act.
            raise NeedsPerson(error.message, place=error.place) from error
        faults = faults_of(resource, shape.release)
        if faults:
            raise NeedsPerson("the resource is not valid: " + "; ".join(faults[:10]), place=shape.resource)
        return resource, digest_of(resource).hex()

    def _deliver(
        self,
        connection: Connection,
        study: Study,
        bodies: dict[Shape, tuple[dict[str, Any], str]],
        findings: Sequence[Finding],
        codes: Collection[MissingCode],
        decision: Decision,
        found: Sequence[FoundConflict],
        moves: Found,
    ) -> None:
        now = self._clock()
        if moves.studies:
            moving.take_over(connection, study.uid, moves, now=now)
        self._note_orders(connection, study, found)
        unknown_codes.count(connection, codes, now=now, study=study.uid)
        row = studies.get(connection, study.uid)
        assert row is not None
        for target in self._targets:
            self._deliver_to(connection, target, study, *bodies[target.shape])
        if self._served is not None:
            self._keep(connection, study, *bodies[self._served])
        pause = station_pauses.longest_pause(connection, study.uid, most=self._longest_wait) if self._learns else None
        studies.mark_settled(
            connection, row["id"], revision=study.revision, now=now, because=decision, findings=findings,
            longest_pause=pause,
        )  # fmt: skip
        deleted_studies.forget(connection, [study.uid])
        for follow in self._consequences:
            follow(connection, study)

    def _deliver_to(
        self, connection: Connection, target: EhrTarget, study: Study, resource: dict[str, Any], digest: str
    ) -> None:
        lane = Lane(delivery_to(target.name), study.uid)
        if moving.is_left(study) and outbox.latest(connection, lane) is None:
            # An EHR that never had the study has nothing to take back.
            return
        patient = self._mapping.patient(study, resource) if target.creates_patients else None
        delivery = Delivery(resource, digest, "", study.revision, patient)
        outbox.deliver(connection, lane, delivery, now=self._clock())

    async def serve(self, work: Work) -> Done:
        """Keep a study as it was settled for those who read it here, and tell nobody. Raises as `settle` does."""
        study = await self._store.read(lambda connection: studies.load(connection, work.subject))
        if study is None or self._served is None:
            return Done()
        one_patient(study)
        if (error := order_checking.held(order_checking.found_of(study, self._policies))) is not None:
            raise error
        resource, digest = await asyncio.to_thread(self._build, study, self._served)
        return Done({"revision": study.revision}, lambda connection: self._keep(connection, study, resource, digest))

    def _keep(self, connection: Connection, study: Study, resource: dict[str, Any], digest: str) -> None:
        if not is_id(study.uid):
            # Its id would be none of FHIR; the finding of the Study Instance UID stands in the study.
            return
        imaging_studies.keep(
            connection, study.uid, resource, bytes.fromhex(digest), findable(resource, self._zone),
            revision=study.revision, now=self._clock(),
        )  # fmt: skip


def _log(work: Work, findings: Sequence[Finding]) -> None:
    """Places and numbers alone: values may be a patient's."""
    if findings:
        places = ", ".join(dict.fromkeys(str(one.place) for one in findings))
        log.warning("%s %d: findings of a study (%d): %s", work.kind, work.id, len(findings), places)


def _must_be_read(study: Study, moves: Found) -> bool:
    """Whether the attributes of the study are still those of instances that do not count, or not of all that do."""
    has_moved = sum(one.instances for one in study.moved)
    is_outdated = study.rejected != number_rejected(study.series) or study.moved_left_out != has_moved
    return is_outdated or study.uid in moves.studies
