"""Performed steps: the station that keeps them, and what other stations do about a change."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from gateway import mapping
from gateway.assembly.destinations import status_consequences
from gateway.assembly.dicom_destinations import forwarding_consequences
from gateway.assembly.readers import make_reader
from gateway.clock import Clock, now
from gateway.config.tree import Config
from gateway.journey import scheduling
from gateway.journey.order_telling.procedures import queue_procedure
from gateway.journey.order_telling.station import queue_orders
from gateway.journey.performed_step.consequences import Change, Consequence
from gateway.journey.performed_step.images import look_again
from gateway.journey.performed_step.station import PerformedSteps
from gateway.records import evidence_of
from gateway.store import Store, settling


def make_performed_steps(config: Config, store: Store, mappings: mapping.Mappings, clock: Clock) -> PerformedSteps:
    """The station that every way into the gateway shares."""
    history = partial(scheduling.whole_history, messages=make_reader(config, mappings).history)
    strict = frozenset(peer.ae_title for peer in config.dicom.peers if peer.mpps == "strict")
    return PerformedSteps(
        store,
        history,
        clock,
        zone=config.site.zone,
        strict=strict,
        consequences=consequences_of(config, clock, mappings),
    )


def consequences_of(
    config: Config, clock: Clock = now, mappings: mapping.Mappings | None = None
) -> tuple[Consequence, ...]:
    """What the configuration wants done about a performed step that changes; each queues its work.

    `mappings`: None where the order's own message may not be kept yet; what needs it is then made by the worker.
    """

    def tell_orders(connection: Connection, change: Change) -> None:
        rows = sorted({link.order for link in change.links}) if change.event is not None else []
        queue_orders(connection, rows, now=clock())

    def tell_procedure(connection: Connection, change: Change) -> None:
        queue_procedure(connection, change.sop_uid, change.step, now=clock())

    def state_evidence(connection: Connection, change: Change) -> None:
        if change.request is not None:
            for study_uid, evidence in evidence_of.performed(change.sop_uid, change.step, at=clock()):
                settling.state(connection, study_uid, evidence)

    wanted = (
        (tell_orders, any("write" in (ehr.orders, ehr.tasks) for ehr in config.ehrs)),
        (tell_procedure, any(ehr.procedures == "write" for ehr in config.ehrs)),
    )
    of_ehrs = (consequence for consequence, is_wanted in wanted if is_wanted)
    return (
        state_evidence,
        partial(look_again, clock=clock),
        *status_consequences(config, mappings, clock),
        *forwarding_consequences(config, clock),
        *of_ehrs,
    )
