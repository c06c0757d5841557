"""What an operator meets at night: the first screen names the cause, and the cure on it works.

Each test is a row of the table in `docs/console.md`. Pages are read as text; a cure is pressed where its button is.
"""

from __future__ import annotations

import asyncio
import html
import re
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.made_studies import made_study, study_uid
from bench.ports import free_port
from gateway.errors import GatewayError
from gateway.simulators import modality, ris
from gateway.simulators.ehr import EhrSimulator
from gateway.wire.dimse import client
from tests.conftest import until
from tests.faults.small_disk import fill, small_disk
from tests.faults.whole_gateway import WholeGateway, running
from tests.journey.test_hung_database import frozen
from tests.peers.faketime import MovedClock

MINUTE: Final = 60.0
"""So long an operator looks for the cause."""


class _Text(HTMLParser):
    """The words of a page, and its forms."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.forms: list[tuple[str, dict[str, str]]] = []
        self._fields: dict[str, str] = {}
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in ("script", "style"):
            self._hidden += 1
        if tag == "form":
            self._fields = {}
            self.forms.append((values.get("action", ""), self._fields))
        if tag == "input" and values.get("type") == "hidden":
            self._fields[values["name"]] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._hidden -= 1

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


@dataclass
class Screen:
    """A page as a person reads it."""

    text: str
    forms: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Addresses and hidden fields."""

    def fields_of(self, action: str) -> list[dict[str, str]]:
        return [fields for address, fields in self.forms if address == action]


@dataclass
class Night:
    """A gateway process, and the person before its console."""

    gateway: WholeGateway
    session: aiohttp.ClientSession

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.gateway.http}"

    async def screen(self, path: str = "/") -> Screen:
        async with self.session.get(self.base + path) as response:
            return _read(await response.text())

    async def sees(self, *words: str, path: str = "/", seconds: float = MINUTE) -> Screen:
        """Wait until the page has a sentence with all of `words` (regular expressions), and print when."""
        begun = time.monotonic()
        screen = Screen("")
        while time.monotonic() < begun + seconds:
            screen = await self.screen(path)
            if all(re.search(word, screen.text) for word in words):
                print(f"  {path}: {', '.join(words)} after {time.monotonic() - begun:.1f} s")
                return screen
            await asyncio.sleep(0.5)
        pytest.fail(f"{path} does not show {words} within {seconds} s, but: {screen.text}")

    async def press(self, action: str, *, path: str, **written: str) -> Screen:
        """Press a button of a page, and get the page after it."""
        screen = await self.screen(path)
        assert screen.fields_of(action), f"{path} has no button {action}, but {screen.forms}"
        fields = screen.fields_of(action)[0] | written
        async with self.session.post(self.base + action, data=fields, headers={"Origin": self.base}) as response:
            screen = _read(await response.text())
            assert response.status == 200, screen.text
            print(f"  pressed {action}: {response.url.path_qs}")
            return screen

    async def command(self, *arguments: str) -> str:
        """What a command prints, beside the gateway."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", *arguments, "-c", "gateway.yaml",
            cwd=self.gateway.folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        text = output.decode()
        first = next((line for line in text.splitlines() if line.strip()), "")
        print(f"  gateway {' '.join(arguments)}: {process.returncode}, {first}")
        return text


def _read(written: str) -> Screen:
    reader = _Text()
    reader.feed(written)
    return Screen(" ".join(html.unescape(" ".join(reader.words)).split()), reader.forms)


@asynccontextmanager
async def night(
    folder: Path, url: str | None = None, settings: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Night]:  # fmt: skip
    headers = {"Accept": "text/html"}
    async with (
        running(folder / "gateway", url or f"sqlite:///{folder}/gateway.db", settings, environment) as gateway,
        aiohttp.ClientSession(headers=headers) as session,
    ):
        yield Night(gateway, session)


async def studies(night: Night, *numbers: int) -> None:
    for number in numbers:
        await modality.send(
            "127.0.0.1", night.gateway.dicom, made_study(number, series=1, instances=2), calling_ae="CT1", timeout=120
        )


def to(url: str, when_deleted: str = "stop", quiet_seconds: float = 0.5) -> dict[str, Any]:
    return {
        "site": {"patient_id_issuer": "RIS"},
        "studies": {"quiet_seconds": quiet_seconds},
        "ehrs": [
            {
                "name": "main",
                "url": url,
                "when_deleted": when_deleted,
                "retry": {"first_seconds": 1, "max_seconds": 5},
            }
        ],
    }


QUICK_CLOCK: Final = {"FAKETIME": "+0 x4", "FAKETIME_CACHE_DURATION": "1", "NO_FAKE_STAT": "1"}
"""Ten minutes pass in two and a half, for waits as for the wall clock."""


def quick_clock(folder: Path) -> dict[str, str]:
    return {"LD_PRELOAD": MovedClock(folder).environment["LD_PRELOAD"], **QUICK_CLOCK}


@pytest.mark.parametrize("waiting", [1, 40])
async def test_an_ehr_is_away_for_ten_minutes(tmp_path: Path, waiting: int) -> None:
    async with EhrSimulator() as ehr:
        # Between two instances of a study a busy machine takes its time: a second version would wait as well.
        settings = to(ehr.url, quiet_seconds=20)
        async with night(tmp_path, settings=settings, environment=quick_clock(tmp_path)) as here:
            await ehr.refuse()
            await studies(here, *range(waiting))
            await here.sees("main", "has not answered for less than 5 minutes", rf"{waiting} waits?")
            await here.sees("main", "does not answer", rf"{waiting} waits?", seconds=3 * MINUTE)
            screen = await here.sees("main", "no answer|refused|cannot connect", path="/deliveries")
            assert "Nothing is stuck" not in screen.text
            assert re.search(r"main.*does not answer", await here.command("status"))
            await ehr.listen()
            await until(lambda: len(ehr.resources("ImagingStudy")) == waiting, seconds=MINUTE, what="the deliveries")
            await here.sees("Nothing is stuck")


async def test_an_ehr_has_lost_its_data(tmp_path: Path) -> None:
    async with EhrSimulator() as ehr, night(tmp_path, settings=to(ehr.url, when_deleted="recreate")) as here:
        await studies(here, *range(5))
        await until(lambda: len(ehr.resources("ImagingStudy")) == 5, seconds=MINUTE, what="the deliveries")
        for number in range(5):  # the EHR has a study before the gateway knows of the answer
            await here.sees(f"A{number:06}", "delivered", path=f"/studies/{study_uid(number)}")
        ehr.forget()
        await here.press("/api/receivers/main/resend", path="/deliveries", since="1970-01-01")
        await until(lambda: len(ehr.resources("ImagingStudy")) == 5, seconds=MINUTE, what="the deliveries")


async def test_the_disk_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        async with night(tmp_path, f"sqlite:///{disk}/gateway.db") as here:
            filler = disk / "filler"
            fill(filler)
            await here.sees("writing", "the disk of the database is full")
            assert "the disk of the database is full" in await here.command("status")
            filler.unlink()
            await here.sees("commits")


async def test_another_program_locks_the_database(tmp_path: Path) -> None:
    async with night(tmp_path) as here:
        other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await here.sees("writing", "lock")
        other.execute("ROLLBACK")
        other.close()
        await here.sees("Nothing is stuck")


async def test_postgresql_stops(tmp_path: Path, postgres_server: str, shared_postgres: str) -> None:
    settings = {"database": {"url": shared_postgres, "answer_seconds": 3}}
    async with night(tmp_path, shared_postgres, settings) as here:
        with frozen(postgres_server):
            await here.sees("database", "does not answer|no answer")
        await here.sees("Nothing is stuck")


def certify(folder: Path, days: int) -> dict[str, str]:
    """Files of a certificate that ends in so many days, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .sign(key, hashes.SHA256())
    )
    files = {"certificate": folder / "gateway.pem", "key": folder / "gateway.key"}
    files["certificate"].write_bytes(made.public_bytes(Encoding.PEM))
    files["key"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {name: str(file) for name, file in files.items()}


@pytest.mark.parametrize(("days", "words"), [(20, "20 days left"), (-1, "has expired")])
async def test_a_certificate_expires(tmp_path: Path, days: int, words: str) -> None:
    settings = {"dicom": {"tls": {"port": free_port(), **certify(tmp_path, days)}}}
    async with night(tmp_path, settings=settings) as here:
        await here.sees("certificate", words)
        assert words in await here.command("status")
        certify(tmp_path, 300)
        await here.press("/api/reload", path="/system")
        await here.sees("Nothing is stuck")


async def test_a_port_is_taken(tmp_path: Path) -> None:
    async with night(tmp_path) as here:
        file = here.gateway.folder / "second.yaml"
        settings = (here.gateway.folder / "gateway.yaml").read_text().replace("gateway.db", "second.db")
        file.write_text(settings, encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "run", "-c", str(file), stderr=asyncio.subprocess.PIPE
        )
        _, errors = await process.communicate()
        print(errors.decode())
        assert process.returncode
        assert str(here.gateway.hl7) in errors.decode()


async def order(here: Night, number: int, change: tuple[bytes, bytes] = (b"", b"")) -> tuple[ris.Exam, str]:
    """The order, and MSA-1 of its answer."""
    [exam] = ris.orders(number, 1)
    message = exam.hl7()
    [answer] = await ris.send("127.0.0.1", here.gateway.hl7, [message.replace(*change) if change[0] else message])
    return exam, answer.code


async def test_an_order_is_not_on_a_scanner(tmp_path: Path) -> None:
    async with night(tmp_path) as here:
        exam, _ = await order(here, 5, (b"|CT|", b"|CT|"))
        await modality.query("127.0.0.1", here.gateway.dicom, calling_ae="MR1", modality="MR")
        await here.sees(exam.accession_number, path=f"/search?q={exam.accession_number}")
        await here.sees("MR", "CT", path=f"/accessions/{exam.accession_number}?scanner=MR1")
        assert "MR" in await here.command("why", exam.accession_number, "--station", "MR1")


async def test_an_order_was_rejected_and_is_asked_for_by_its_number(tmp_path: Path) -> None:
    async with night(tmp_path) as here:
        exam, code = await order(here, 6, (b"ORC|NW", b"ORC|ZZ"))
        assert code == "AE"
        await here.sees("order control 'ZZ'", path=f"/search?q={exam.accession_number}")
        assert "ZZ" in await here.command("show", exam.accession_number)


async def test_two_patients_are_in_one_study(tmp_path: Path) -> None:
    async with EhrSimulator() as ehr, night(tmp_path, settings=to(ehr.url)) as here:
        right, wrong = made_study(1, series=2, instances=1)
        wrong.PatientID = "OTHER"
        for each in (right, wrong):
            await modality.send("127.0.0.1", here.gateway.dicom, [each], calling_ae="CT1")
        path = f"/studies/{study_uid(1)}"
        await here.sees("waits for a person", "its instances name . patients")
        await here.sees("its instances name 2 patients", "OTHER another", path=path)
        screen = await here.screen(path)
        parts = screen.fields_of(f"/api{path}/exclude")
        assert {"back": path, "part": str(wrong.SOPInstanceUID)} in parts
        await here.press(f"/api{path}/exclude", path=path, part=str(wrong.SOPInstanceUID), note="another patient")
        await until(lambda: ehr.resources("ImagingStudy"), seconds=MINUTE, what="the delivery")
        assert ehr.resources("ImagingStudy")[0]["numberOfInstances"] == 1
        await here.sees("Nothing is stuck")


async def test_the_wrong_study_was_sent(tmp_path: Path) -> None:
    async with EhrSimulator() as ehr, night(tmp_path, settings=to(ehr.url)) as here:
        await studies(here, 1)
        await until(lambda: ehr.resources("ImagingStudy"), seconds=MINUTE, what="the delivery")
        uid = study_uid(1)
        await here.press(f"/api/studies/{uid}/withdraw", path=f"/studies/{uid}", note="wrong patient")
        await until(
            lambda: ehr.resources("ImagingStudy")[0]["status"] == "entered-in-error",
            seconds=MINUTE,
            what="the withdrawal",
        )


async def test_a_mapping_is_mended(tmp_path: Path) -> None:
    site = tmp_path / "site" / "tables"
    site.mkdir(parents=True)
    async with night(tmp_path, settings={"mappings": {"overlay": str(site.parent)}}) as here:
        _, code = await order(here, 7, (b"ORC|NW", b"ORC|ZZ"))
        assert code == "AE"
        await here.sees("ris", "not applied")
        (site / "order_control.csv").write_text("ZZ,new\n", encoding="utf-8")
        await here.press("/api/reload", path="/system")
        await here.press("/api/messages/1/replay", path="/messages/1")
        await here.sees("Nothing is stuck")


async def test_a_ris_sends_garbage(tmp_path: Path) -> None:
    async with night(tmp_path) as here:
        for number in range(20):
            await order(here, number, (b"ORC|NW", b"ORC|ZZ"))
        await here.sees("ris", "20 messages", "not applied")
        screen = await here.screen("/messages")
        (action,) = [address for address, _ in screen.forms if re.fullmatch("/api/message-causes/.*/put-away", address)]
        await here.press(action, path="/messages", note="test of the vendor")
        await here.sees("Nothing is stuck")


async def test_a_scanner_is_refused(tmp_path: Path) -> None:
    async with night(tmp_path, settings={"dicom": {"check_called_ae": True}}) as here:
        await modality.query("127.0.0.1", here.gateway.dicom, calling_ae="MR9", modality="MR")
        with pytest.raises(GatewayError):
            await client.echo("127.0.0.1", here.gateway.dicom, called_ae="WRONG", calling_ae="MR9", timeout=20)
        await here.sees("MR9", "refused")
