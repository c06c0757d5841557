"""Answers in the character set that was asked for, as DCMTK reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

from tests.journey.messages import orm
from tests.journey.running import Start
from tests.journey.test_order_intake import send
from tests.peers.dcmtk import dcmtk
from tests.peers.process import NO_DELAY, run

# An answer is encoded after the database: of both, text comes back as it was written (test_charsets.py).
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
HALF_WIDTH = "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"
KOREAN = "Hong^Gildong=洪^吉洞=홍^길동"
CHINESE = "Zhang^XiaoDong=张^小东"

IN_JIS = {
    JAPANESE: b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    HALF_WIDTH: b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
    b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
}
"""The examples of PS3.5 H.3.1 and H.3.2, byte for byte."""


def xpn(name: str) -> str:
    """The component groups of a PN as repetitions of a PID-5."""
    groups = zip(name.split("="), "AIP", strict=False)
    return "~".join(f"{group}{'^' * (6 - group.count('^'))}^{kind}" for group, kind in groups)


@pytest.mark.parametrize(
    ("requested", "name", "answered"),
    [
        ("ISO_IR 100", "Müller^Jörg", "ISO_IR 100"),
        ("ISO_IR 192", "Müller^Jörg", "ISO_IR 192"),
        ("ISO_IR 192", JAPANESE, "ISO_IR 192"),
        ("\\ISO 2022 IR 87", JAPANESE, "\\ISO 2022 IR 87"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", HALF_WIDTH, "ISO 2022 IR 13\\ISO 2022 IR 87"),
        ("\\ISO 2022 IR 149", KOREAN, "\\ISO 2022 IR 149"),
        ("\\ISO 2022 IR 58", CHINESE, "\\ISO 2022 IR 58"),
        ("GB18030", CHINESE, "GB18030"),
        ("ISO_IR 144", "Дворжак^Антон", "ISO_IR 144"),
        ("ISO_IR 126", "Παπαδόπουλος^Νίκος", "ISO_IR 126"),
        # What the requested set cannot write comes in one that can.
        ("ISO_IR 100", "Дворжак^Антон", "ISO_IR 144"),
        ("ISO_IR 100", JAPANESE, "ISO_IR 192"),
        ("", "Müller^Jörg", "ISO_IR 100"),
        ("", "Plain^Ann", ""),
    ],
)
async def test_dcmtk_reads_the_name(start: Start, tmp_path: Path, requested: str, name: str, answered: str) -> None:
    async with start() as gateway:
        await send(gateway, orm(name=xpn(name), charset="UNICODE UTF-8"))
        folder = tmp_path / "answers"
        folder.mkdir()
        keys = ["-k", "PatientName", "-k", "PatientID=PAT1"]
        if requested:
            keys += ["-k", f"SpecificCharacterSet={requested}"]
        address = ("-aec", "GATEWAY", "127.0.0.1", str(gateway.dicom_port))
        asked = await run(dcmtk("findscu"), "-W", *keys, "-X", "-od", folder, *address, env=NO_DELAY)
        assert asked.returncode == 0, asked.stderr
    (file,) = folder.glob("rsp*.dcm")
    item = dcmread(file, force=True)
    as_sent = item.get_item("PatientName").value  # before anybody has looked at it
    sets = item.get("SpecificCharacterSet") or ""
    assert (sets if isinstance(sets, str) else "\\".join(sets)) == answered
    if "58" not in answered:  # pydicom reads that set, but leaves its escape sequences in the text
        assert str(item.PatientName) == name
    if name in IN_JIS and "87" in answered:
        # Debian builds DCMTK with a library that cannot convert ISO 2022 IR 87: what it received is compared.
        assert as_sent.rstrip(b" ") == IN_JIS[name]
        return
    dumped = await run(dcmtk("dcmdump"), "+U8", "+P", "PatientName", file)
    assert f"[{name}]" in dumped.stdout, dumped.stdout + dumped.stderr
