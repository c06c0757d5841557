"""What of the limits of a receiver each process has: together they come to the limit, whatever the number."""

from __future__ import annotations

import pytest

from gateway.assembly.processes.limits import config_of, left_to_others
from gateway.assembly.processes.place import ALONE, ProcessPlace
from gateway.config.tree import Config
from gateway.records.work import WorkKind

CONFIG = Config.model_validate(
    {
        "ehrs": [{"name": "main", "url": "http://127.0.0.1:1", "concurrency": 5, "max_requests_per_second": 10}],
        "hl7": {
            "listeners": [{"name": "ris", "port": 2575}],
            "destinations": [{"name": "ris", "host": "127.0.0.1", "port": 1, "status": "ORU^R01"}],
        },
        "dicom": {"destinations": [{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1, "mpps": True}]},
    }
)


def places(number: int) -> list[ProcessPlace]:
    return [ProcessPlace(one, number) for one in range(1, number + 1)]


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_the_shares_come_to_the_limit(processes: int) -> None:
    shared = [
        config_of(CONFIG, place).ehrs[0]
        for place in places(processes)
        if WorkKind.of("ehr:main") not in left_to_others(CONFIG, place)
    ]
    assert sum(one.concurrency for one in shared) == 5
    assert sum(one.max_requests_per_second or 0 for one in shared) == pytest.approx(10)


def test_what_takes_one_connection_is_process_1_s() -> None:
    first, second = (left_to_others(CONFIG, place) for place in places(2))
    single = {"status:ris", "forward:ris", "store:pacs", "mpps:pacs", "ian:pacs", "commit:pacs"}
    assert not first
    assert {str(kind) for kind in second} == single


def test_alone_nothing_is_shared() -> None:
    assert config_of(CONFIG, ALONE) is CONFIG
    assert not left_to_others(CONFIG, ALONE)
