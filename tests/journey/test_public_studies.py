"""Public files go the whole way: none is refused, and no study is parked, but for a reason of its own."""

from __future__ import annotations

import pytest

from gateway.assembly.mappings import load_mappings
from gateway.assembly.studies import make_arrival
from gateway.clock import now
from gateway.simulators.ehr import EhrSimulator
from gateway.store import outbox_listing
from gateway.wire.dimse import ExplainedFailure
from tests.journey.running import Start, config_of, quiet
from tests.mapping.studies.public_studies import requests

REFUSED = "StudyInstanceUID is missing"
"""Media directories, and images that somebody made to try a codec."""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_public_study_is_told(start: Start) -> None:
    refused, stored = [], set()
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        config = config_of("sqlite:///unused.db", ehr.url)
        arrival = make_arrival(config, gateway.store, load_mappings(config), now)
        for request in requests():
            try:
                await arrival.store(request)
                stored.add(request.sop_instance_uid)
            except ExplainedFailure as failure:
                refused.append(failure.comment)
        await quiet(gateway)
        stuck = await gateway.store.read(lambda one: outbox_listing.listing(one, states=("parked", "rejected")))
        told = ehr.resources("ImagingStudy")
    assert set(refused) == {REFUSED}
    assert len(stored) > 80
    assert {row["outcome"]["place"] for row in stuck} == {"PatientID"}
    assert sum(one["numberOfInstances"] for one in told) > 0.8 * len(stored)
