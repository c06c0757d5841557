"""The story of an examination as its RIS sees it: order, arrival, begin, late change, end, and what comes back of it.

Whatever dies on the way, the RIS accepts SC/IP, then SC/CM, once each. `make crash` kills the gateway at every commit
of the story, before and after it; the suite at some of them.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import urllib.parse
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.ports import free_port
from gateway.errors import GatewayError, Rejected
from gateway.simulators.ris_listener import RisListener
from gateway.simulators.ris_manners_file import RisRule, RisScript
from gateway.wire.dimse import client
from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.parsing import parse
from tests.commands import Command, ready
from tests.conftest import until
from tests.journey.killed_at_commit import Killing
from tests.journey.messages import adt, orm
from tests.journey.modality import begin, end
from tests.journey.running import Start, quiet
from tests.journey.test_order_intake import send, told
from tests.journey.test_ris_status import BEGUN, DONE, accepted, sections
from tests.peers import dcmjs
from tests.peers.postgres_database import empty

UID = "1.2.826.0.1.3680043.8.498.9"
EVERY = os.environ.get("CRASH_COMMITS") == "all"
"""Kill at every commit, on both databases (`make crash`)."""
SOME = {"sqlite": [(3, False), (4, False), (5, True), (8, True)], "postgresql": [(3, False)]}
"""What the suite kills at: the N-CREATE kept and not answered, its status claimed, sent and not noted, the N-SET."""
SECONDS = 120.0


def today(hour: int) -> str:
    return f"{datetime.now(UTC):%Y%m%d}{hour:02}0000"


ORDER = orm(at=today(0), start=today(0))
ARRIVAL = adt("A10", at=today(0))
LATE = orm(control="XO", control_id="MSG2", at=today(0), start=today(0))


class Gateway:
    """`gateway run` in a process of its own, on the same ports whenever it is started again."""

    def __init__(self, folder: Path, database_url: str, ris: RisListener) -> None:
        self.hl7, self.dicom = free_port(), free_port()
        self.folder = folder
        folder.mkdir(exist_ok=True)
        retry = {"first_seconds": 0.05, "max_seconds": 0.2}
        settings = {
            "database": {"url": urllib.parse.unquote(database_url)},
            "hl7": {
                "listeners": [{"name": "ris", "port": self.hl7, "conformance": "off"}],
                "destinations": [{"name": "ris", "port": ris.port, "timeout_seconds": 2, "retry": retry}],
            },
            "dicom": {"port": self.dicom},
            "http": {"port": 0},
        }
        (folder / "gateway.yaml").write_text(json.dumps(settings), encoding="utf-8")
        self._command: Command | None = None

    async def start(self, prepare: Callable[[], None] | None = None) -> None:
        self._command = Command(("run", "-c", self.folder / "gateway.yaml"), self.folder, {}, prepare)
        await ready(self._command)

    @property
    def is_dead(self) -> bool:
        return self._command is not None and not self._command.is_alive

    async def stop(self) -> None:
        if self._command is not None:
            await self._command.end()


async def _told(gateway: Gateway, message: bytes) -> None:
    async with MllpClient("127.0.0.1", gateway.hl7, timeout=60) as connection:
        msa = parse(await connection.send(message)).first("MSA")
    assert msa is not None
    assert msa.leaf(1) == "AA", msa.leaf(3)


async def _begun(gateway: Gateway) -> None:
    await client.create_performed_step(
        "127.0.0.1", gateway.dicom, UID, begin(), called_ae="GATEWAY", calling_ae="CT1", timeout=60
    )


async def _ended(gateway: Gateway) -> None:
    try:
        await client.set_performed_step(
            "127.0.0.1", gateway.dicom, UID, end(), called_ae="GATEWAY", calling_ae="CT1", timeout=60
        )
    except Rejected as error:
        # The end was kept, and its answer lost with the gateway (PS3.4 Table F.7.2-2). What the RIS gets shows it.
        if "A710" not in str(error):
            raise


STORY: tuple[Callable[[Gateway], Awaitable[None]], ...] = (
    lambda gateway: _told(gateway, ORDER),
    lambda gateway: _told(gateway, ARRIVAL),
    _begun,
    lambda gateway: _told(gateway, LATE),
    _ended,
)


async def play(gateways: list[Gateway]) -> None:
    """Each part of the story in its turn, again until it is answered, at whichever gateway lives; the dead are started
    again at their ports once the part is done, or when none lives."""
    for part in STORY:
        finish = asyncio.get_running_loop().time() + SECONDS
        while True:
            living = next((one for one in gateways if not one.is_dead), None)
            if living is None:
                living = gateways[0]
                await living.stop()
                await living.start()
            try:
                await part(living)
                break
            except GatewayError:
                assert asyncio.get_running_loop().time() < finish, "never answered"
                await asyncio.sleep(0.02)


async def finished(gateways: list[Gateway], ris: RisListener) -> None:
    """Wait for the second status, and for the end of what was to be killed, with at least one gateway that lives."""

    async def live() -> None:
        while len(ris.accepted) < 2:
            if all(one.is_dead for one in gateways):
                await gateways[0].stop()
                await gateways[0].start()
            await asyncio.sleep(0.02)

    async with asyncio.timeout(SECONDS):
        await live()


def assert_in_order_and_once(ris: RisListener) -> None:
    assert accepted(ris) == [BEGUN, DONE]
    raws: dict[str, set[bytes]] = {}
    for one in ris.received:
        raws.setdefault(one.control_id, set()).add(one.raw)
    assert all(len(ones) == 1 for ones in raws.values()), "a retry has the bytes of the first try"
    assert list(raws) == list(ris.accepted), "each status under one MSH-10"


async def killed(folder: Path, database_url: str, at: int, before: bool, *, gateways: int = 1) -> int:
    """Play the story with a gateway that dies at a commit (0: at none); returns how many commits it made.

    Fails when it lives on although it has come to that commit.
    """
    folder.mkdir()
    armed = folder / "armed"
    async with RisListener() as ris:
        several = [Gateway(folder / f"gateway{number}", database_url, ris) for number in range(gateways)]
        try:
            await several[0].start(Killing(armed, at, before))
            for other in several[1:]:
                await other.start()
            armed.touch()
            await play(several)
            await finished(several, ris)
            assert_in_order_and_once(ris)
        finally:
            for one in several:
                await one.stop()
    counted = armed.with_suffix(".count")
    commits = int(counted.read_text(encoding="ascii")) if counted.exists() else 0
    assert not at or commits <= at - before, "it was not killed"
    return commits


@pytest.fixture
def fresh(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Callable[[], str]:
    """The URL of a database of this kind without rows, another or the same one emptied at each call."""
    if kind == "sqlite":
        template, numbers = request.getfixturevalue("sqlite_template"), itertools.count()

        def copied() -> str:
            file = tmp_path / f"{next(numbers)}.db"
            shutil.copy(template, file)
            return f"sqlite:///{file}"

        return copied
    url, connection = request.getfixturevalue("_postgres_tables")

    def emptied() -> str:
        empty(connection)
        return str(url)

    return emptied


@pytest.mark.parametrize(("kind", "gateways"), [("sqlite", 1), ("postgresql", 2)])
async def test_the_story_with_the_gateway_killed_at_each_commit(
    tmp_path: Path, fresh: Callable[[], str], kind: str, gateways: int
) -> None:
    commits = await killed(tmp_path / "whole", await asyncio.to_thread(fresh), 0, True, gateways=gateways)
    # A claim and an outcome may share a commit with what comes in.
    assert commits >= 5, "order, arrival, begin, change, end"
    every = [(at, before) for at in range(1, commits + 1) for before in (True, False)]
    for at, before in every if EVERY else SOME[kind]:
        await killed(tmp_path / f"{at}-{before}", await asyncio.to_thread(fresh), at, before, gateways=gateways)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_story_with_dcmjs_while_the_ris_is_down_in_the_middle(start: Start) -> None:
    ris = RisListener()
    async with ris, start(**sections(ris)) as gateway:
        assert [told(ack)[0] for ack in await send(gateway, ORDER, ARRIVAL)] == ["AA", "AA"]
        begun = await dcmjs.scu(gateway.dicom_port, "begin", UID, "1.2.3.4.5", "SPS1")
        assert begun["statuses"] == [["begin", 0]], begun
        await until(lambda: bool(ris.accepted))
        ris.behave(RisScript(rules=[RisRule(do="close_before", times=3)]))
        assert [told(ack)[0] for ack in await send(gateway, LATE)] == ["AA"]
        ended = await dcmjs.scu(gateway.dicom_port, "end", UID)
        assert ended["statuses"] == [["end", 0]], ended
        await quiet(gateway)
        assert_in_order_and_once(ris)
