"""JSON that is long reads as what is short does."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.errors import Malformed, TooLarge
from gateway.long_work import LONG_BYTES
from gateway.wire.dicomweb import dicom_json
from gateway.wire.dicomweb.long_json import MAX_VALUES, loads

SHORT = b'{"00100020": {"vr": "LO", "Value": %s}}'
LONG = SHORT[:-1] + b', "00104000": {"vr": "LT", "Value": ["' + b"x" * LONG_BYTES + b'"]}}'


@pytest.mark.parametrize(
    "value",
    [
        *(
            b'["caf\xc3\xa9"]',
            b'["\\ud83d\\ude00"]',
            b"[1, -2, 0.5, 1e3, null]",
            b"[12345678901234567890]",
            b"[]",
            b"null",
        ),
        b'[{"Alphabetic": "A^B"}]',
        # No JSON, or no DICOM JSON.
        *(b"[NaN]", b"[Infinity]", b"[01]", b"[1,]", b"['a']", b'["\\ud800"]', b'["a\nb"]', b"[\xff]", b"[true]", b"1"),
        b"[" * 5_000 + b"]" * 5_000,
    ],
)
def test_it_reads_as_short_json_does(value: bytes) -> None:
    def read(template: bytes) -> Any:
        try:
            return dicom_json.read(template % value)[0x00100020]
        except Malformed:
            return Malformed

    assert read(LONG) == read(SHORT)


def test_a_number_of_very_many_digits_is_no_json() -> None:
    with pytest.raises(Malformed, match="no JSON"):
        dicom_json.read(LONG % (b"[" + b"1" * 5_000 + b"]"))


def test_more_values_than_any_data_set_has_are_refused() -> None:
    with pytest.raises(TooLarge, match="values"):
        loads(b"[" + b"1," * MAX_VALUES + b"1]")


def test_a_performed_step_of_a_hundred_thousand_images_is_taken() -> None:
    image = {"00081150": {"vr": "UI", "Value": ["1"]}, "00081155": {"vr": "UI", "Value": ["2"]}}
    body = orjson.dumps({"00081140": {"vr": "SQ", "Value": [image]}})
    written = orjson.dumps(image)
    assert body.replace(written, b",".join([written] * 100_000)).count(b",") < MAX_VALUES / 4
