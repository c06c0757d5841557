"""UIDs and numbers that are longer than an entry of an index: the examination goes on, on both databases alike."""

from __future__ import annotations

import random
import string
from typing import Any, Final

import pytest
from pydicom.uid import UID

from gateway.store import refusals
from tests.journey.modality import begin, end, item, modality_of
from tests.journey.running import Start
from tests.journey.test_performed_step import UID as PERFORMED
from tests.journey.test_performed_step import kept
from tests.journey.test_study_arrival import sample, send

_CHOOSE: Final = random.Random(7)
DIGITS: Final = "1.2." + "".join(_CHOOSE.choices("123456789", k=9_000))
LETTERS: Final = "".join(_CHOOSE.choices(string.ascii_letters, k=9_000))
"""No compression brings it under the 2,704 bytes that PostgreSQL takes."""


def image(number: int, **values: Any) -> Any:
    made = sample()
    made.SOPInstanceUID = f"1.2.5.{number}"
    made.file_meta.MediaStorageSOPInstanceUID = UID(made.SOPInstanceUID)
    made.StudyInstanceUID = f"1.2.6.{number}"
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.filterwarnings("ignore:The value length:UserWarning")
async def test_they_stop_no_examination(start: Start) -> None:
    async with start() as gateway:
        taken = ({"AccessionNumber": LETTERS}, {"PatientID": LETTERS}, {"IssuerOfPatientID": LETTERS})
        assert await send(gateway, *(image(number, **values) for number, values in enumerate(taken))) == [0, 0, 0]
        refused = ({"StudyInstanceUID": DIGITS}, {"SeriesInstanceUID": DIGITS}, {"SOPInstanceUID": DIGITS})
        images = [image(number, **values) for number, values in enumerate(refused, start=3)]
        assert await send(gateway, *images, image(9)) == [0xA900] * 3 + [0]
        reasons = {row["reason"] for row in await gateway.store.read(refusals.listing)}
        assert reasons == {f"A900 {keyword} has more than 200 characters" for values in refused for keyword in values}

        modality = modality_of(gateway)
        odd = begin(item(study=DIGITS, accession=LETTERS), PatientID=LETTERS)
        assert (await modality.create(odd, PERFORMED)).status == 0
        assert (await modality.set(end(), PERFORMED)).status == 0
        [row] = await kept(gateway)
        assert row["attributes"]["PatientID"] == LETTERS
        assert row["findings"], "it belongs to no scheduled step"
