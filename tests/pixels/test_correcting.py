"""Instances with corrected attributes: what changes, what is kept of it, and that nothing else changes."""

from __future__ import annotations

import struct
import subprocess
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence

from gateway.pixels.correcting import ORIGINAL, corrected
from gateway.pixels.faults import BrokenPixels
from gateway.records.correction import Correction, Modification
from tests.peers.dcmtk import dcmtk
from tests.pixels.samples import SHIPPED, sample, saved

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
BY = Modification("GATEWAY", "CT1", "20260115103000.000000+0100")
PATIENT = [
    Correction("PatientID", "4711", "COERCE"),
    Correction("PatientName", "Doe^Jane", "COERCE"),
    Correction("AccessionNumber", "A1", "CORRECT"),
]
DEFLATED = "1.2.840.10008.1.2.1.99"
CHARACTER_SET = 0x00080005
EXAMPLES = sorted(
    path
    for path in SHIPPED.rglob("*.dcm")
    if path.stat().st_size < 4_000_000 and path.read_bytes()[128:132] == b"DICM" and "DICOMDIR" not in path.name
)


def raw(path: Path) -> dict[int, tuple[Any, Any]]:
    """Tag -> VR and encoded value of each element at the top, as pydicom finds them without decoding."""
    dataset = pydicom.dcmread(path, force=True)
    found = {}
    for tag in dataset.keys():  # noqa: SIM118  values are not to be decoded
        one = dataset.get_item(tag)
        value = one.value
        # What pydicom decodes at once are sequences of undefined length.
        found[int(tag)] = (one.VR, value if isinstance(value, (bytes, type(None))) else str(value))
    return found


def made(tmp_path: Path, source: Path, *corrections: Correction) -> tuple[Dataset, list[str]]:
    target = tmp_path / "corrected.dcm"
    remarks = corrected(source, target, corrections or PATIENT, BY)
    return pydicom.dcmread(target), remarks


def dataset(**attributes: Any) -> Dataset:
    one = Dataset()
    one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.826.0.1.3680043.8.498.1"
    for name, value in attributes.items():
        setattr(one, name, value)
    return one


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_everything_else_stays_byte_for_byte(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "corrected.dcm"
    corrected(path, target, PATIENT, BY)
    before, after = raw(path), raw(target)
    changed = {0x00100010, 0x00100020, 0x00080050, ORIGINAL}
    groups = {tag & 0xFFFF0000 for tag in changed}
    assert {tag: one for tag, one in after.items() if tag not in changed} == {
        tag: one for tag, one in before.items() if tag not in changed | groups | {0x00080001}
    }
    result = pydicom.dcmread(target)
    assert (result.PatientID, str(result.PatientName), result.AccessionNumber) == ("4711", "Doe^Jane", "A1")
    was = pydicom.dcmread(path)
    assert result.file_meta.get("TransferSyntaxUID") == was.file_meta.get("TransferSyntaxUID")
    coerced, chosen = (one.ModifiedAttributesSequence[0] for one in result.OriginalAttributesSequence[-2:])
    assert (str(coerced.PatientID or ""), str(coerced.PatientName or "")) == (
        str(was.get("PatientID") or ""), str(was.get("PatientName") or ""),
    )  # fmt: skip
    assert str(chosen.AccessionNumber or "") == str(was.get("AccessionNumber") or "")


def test_the_pixels_and_all_behind_them_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("CT_small.dcm", "MR_small_bigendian.dcm", "JPEG2000.dcm", "MR_small_implicit.dcm"):
        made(tmp_path, sample(name))
        before, after = sample(name).read_bytes(), (tmp_path / "corrected.dcm").read_bytes()
        order = ">" if "bigendian" in name else "<"
        pixels = before.rindex(struct.pack(order + "HH", 0x7FE0, 0x0010))
        assert after.endswith(before[pixels:])


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "image_dfl.dcm"])
def test_dcmtk_reads_what_was_corrected(name: str, tmp_path: Path) -> None:
    made(tmp_path, sample(name))
    dump = subprocess.run(
        [dcmtk("dcmdump"), tmp_path / "corrected.dcm"], capture_output=True, text=True, check=True, timeout=120
    )
    assert "error" not in dump.stderr.lower()
    line = [" ".join(one.split()) for one in dump.stdout.splitlines()]
    assert any(one.startswith("(0010,0020) LO [4711]") for one in line)
    for wanted in (
        "(0400,0562) DT [20260115103000.000000+0100]", "(0400,0563) LO [GATEWAY]", "(0400,0564) LO [CT1]",
        "(0400,0565) CS [COERCE]", "(0400,0565) CS [CORRECT]",
    ):  # fmt: skip
        assert any(one.startswith(wanted) for one in line), wanted


def test_items_that_earlier_systems_have_made_are_kept(tmp_path: Path) -> None:
    earlier = dataset(ModifyingSystem="PACS", ReasonForTheAttributeModification="CORRECT")
    earlier.ModifiedAttributesSequence = Sequence([dataset(PatientID="1")])
    for undefined in (False, True):
        for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"):
            one = dataset(PatientID="2", OriginalAttributesSequence=Sequence([earlier]), Rows=1)
            one["OriginalAttributesSequence"].is_undefined_length = undefined
            earlier.is_undefined_length_sequence_item = undefined
            result, _ = made(tmp_path, saved(one, tmp_path / "source.dcm", syntax))
            systems = [each.ModifyingSystem for each in result.OriginalAttributesSequence]
            assert systems == ["PACS", "GATEWAY", "GATEWAY"]
            first, second, _third = result.OriginalAttributesSequence
            assert first.ModifiedAttributesSequence[0].PatientID == "1"
            assert second.ModifiedAttributesSequence[0].PatientID == "2"
            assert result.Rows == 1


def test_items_under_vr_un_are_kept_as_a_sequence(tmp_path: Path) -> None:
    earlier = dataset(ModifyingSystem="PACS", ModifiedAttributesSequence=Sequence([dataset(PatientID="1")]))
    buffer = pydicom.filebase.DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, True
    pydicom.filewriter.write_dataset(buffer, dataset(OriginalAttributesSequence=Sequence([earlier])))
    encoded = buffer.getvalue()
    value = encoded[encoded.index(struct.pack("<HH", 0x0400, 0x0561)) + 8 :]
    path = saved(dataset(PatientID="2"), tmp_path / "source.dcm")
    path.write_bytes(path.read_bytes() + struct.pack("<HH2sHL", 0x0400, 0x0561, b"UN", 0, len(value)) + value)
    result, _ = made(tmp_path, path)
    first, *ours = result.OriginalAttributesSequence
    assert (first.ModifyingSystem, first.ModifiedAttributesSequence[0].PatientID) == ("PACS", "1")
    assert [one.ModifyingSystem for one in ours] == ["GATEWAY", "GATEWAY"]


def test_what_was_not_there_has_no_value_in_the_modified_attributes(tmp_path: Path) -> None:
    result, _ = made(tmp_path, saved(dataset(), tmp_path / "source.dcm"))
    first, second = (one.ModifiedAttributesSequence[0] for one in result.OriginalAttributesSequence)
    assert {one.keyword: one.value for one in first} == {"PatientName": "", "PatientID": ""}
    assert {one.keyword: one.value for one in second} == {"AccessionNumber": ""}


@pytest.mark.parametrize(
    ("sets", "name", "wanted", "stated", "remark"),
    [
        ("ISO_IR 100", "Müller^Jürgen", "Müller^Jürgen", "ISO_IR 100", ""),
        ("ISO_IR 192", "Иванова^Анна", "Иванова^Анна", "ISO_IR 192", ""),
        (None, "Müller^Jürgen", "Müller^Jürgen", "ISO_IR 100", "Specific Character Set is ISO_IR 100 now"),
        ("ISO_IR 6", "Иванова^Анна", "Иванова^Анна", "ISO_IR 144", "Specific Character Set is ISO_IR 144 now"),
        (None, "山田^太郎", "山田^太郎", "ISO_IR 192", "Specific Character Set is ISO_IR 192 now"),
        (
            "ISO_IR 100", "Иванова^Анна", "Ivanova^Anna", "ISO_IR 100",
            "PatientName in ASCII letters: Specific Character Set ISO_IR 100 has no others",
        ),
        ("ISO_IR 203", "Cœur^€", "Cœur^€", "ISO_IR 203", ""),
        (["", "ISO 2022 IR 87"], "Yamada=山田^太郎", "Yamada=山田^太郎", ["", "ISO 2022 IR 87"], ""),
    ],
)  # fmt: skip
def test_a_name_in_the_character_set_of_the_data_set(
    sets: Any, name: str, wanted: str, stated: Any, remark: str, tmp_path: Path
) -> None:
    attributes = {"PatientName": "Roe^Richard", "StudyDescription": "Knie"}
    source = dataset(**attributes, **({} if sets is None else {"SpecificCharacterSet": sets}))
    result, remarks = made(tmp_path, saved(source, tmp_path / "source.dcm"), Correction("PatientName", name, "COERCE"))
    assert str(result.PatientName) == wanted
    assert result.SpecificCharacterSet == stated
    assert remarks == [remark] * bool(remark)
    [original] = result.OriginalAttributesSequence
    before = original.ModifiedAttributesSequence[0]
    assert str(before.PatientName) == "Roe^Richard"
    # The set of the previous values, where another one is stated above them.
    assert ("SpecificCharacterSet" in before) is (stated != sets)
    assert before.get("SpecificCharacterSet") in (None, "", "ISO_IR 6")


def test_a_sequence_takes_the_place_of_another(tmp_path: Path) -> None:
    issuer = [{"UniversalEntityID": "1.2.3", "UniversalEntityIDType": "ISO"}]
    source = dataset(IssuerOfPatientIDQualifiersSequence=Sequence([dataset(UniversalEntityID="9.9")]), PatientID="1")
    change = Correction("IssuerOfPatientIDQualifiersSequence", issuer, "COERCE")
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"):
        result, _ = made(tmp_path, saved(source, tmp_path / "source.dcm", syntax), change)
        assert result.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == "1.2.3"
        [before] = result.OriginalAttributesSequence[0].ModifiedAttributesSequence
        assert before.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == "9.9"
        assert result.PatientID == "1"


def test_a_group_length_goes_where_the_group_changes(tmp_path: Path) -> None:
    path = saved(dataset(PatientID="1", StudyID="1"), tmp_path / "source.dcm")
    data = path.read_bytes()
    for group, first in ((0x0010, b"\x10\0\x20\0LO"), (0x0020, b"\x20\0\x10\0SH")):
        data = data.replace(first, struct.pack("<HH2sHL", group, 0, b"UL", 4, 99) + first)
    path.write_bytes(data)
    made(tmp_path, path, Correction("PatientID", "2", "COERCE"))
    after = raw(tmp_path / "corrected.dcm")
    assert 0x00100000 not in after
    assert after[0x00200000] == ("UL", struct.pack("<L", 99))


def test_a_deflated_data_set_is_deflated_again(tmp_path: Path) -> None:
    source = sample("image_dfl.dcm")
    made(tmp_path, source)
    data = (tmp_path / "corrected.dcm").read_bytes()
    at = 144 + struct.unpack("<L", data[140:144])[0]
    assert len(data[at:]) % 2 == 0
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[at:])
    assert read_dataset(BytesIO(inflated), False, True).PatientID == "4711"


def test_signatures_are_kept_and_remarked_on(tmp_path: Path) -> None:
    signed = dataset(PatientID="1", MACParametersSequence=Sequence([dataset(MACIDNumber=1)]))
    signed.DigitalSignaturesSequence = Sequence([dataset(MACIDNumber=1)])
    result, remarks = made(tmp_path, saved(signed, tmp_path / "source.dcm"))
    assert remarks == ["digital signatures over what was corrected do not hold any more"]
    assert result.DigitalSignaturesSequence[0].MACIDNumber == 1


def test_an_element_of_an_unknown_vr_is_copied(tmp_path: Path) -> None:
    path = saved(dataset(PatientID="1", PatientAge="040Y", StudyID="1"), tmp_path / "source.dcm")
    path.write_bytes(path.read_bytes().replace(b"\x10\x00\x10\x10AS", b"\x10\x00\x10\x10\x06\x00"))
    corrected(path, tmp_path / "corrected.dcm", PATIENT, BY)
    assert b"\x10\x00\x10\x10\x06\x00\x04\x00040Y" in (tmp_path / "corrected.dcm").read_bytes()


def test_a_header_that_breaks_behind_the_corrections_is_copied(tmp_path: Path) -> None:
    path = saved(dataset(PatientID="1"), tmp_path / "source.dcm")
    rest = struct.pack("<HH2sH", 0x0008, 0x1030, b"??", 4) + b"abcdef"
    behind = struct.pack("<HH2sH", 0x4008, 0x0050, b"LO", 2) + b"1 " + rest
    whole = path.read_bytes()
    path.write_bytes(whole + behind)
    corrected(path, tmp_path / "corrected.dcm", PATIENT, BY)
    assert (tmp_path / "corrected.dcm").read_bytes().endswith(behind)
    path.write_bytes(whole + rest)
    with pytest.raises(BrokenPixels):
        corrected(path, tmp_path / "none.dcm", PATIENT, BY)
    assert not (tmp_path / "none.dcm").exists()


def test_a_set_is_not_laid_over_texts_of_another(tmp_path: Path) -> None:
    """Texts without a stated set are mostly Western European."""
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"):
        one = dataset(PatientName="Roe^Richard", StudyDescription="Sch?del")
        path = saved(one, tmp_path / "source.dcm", syntax)
        path.write_bytes(path.read_bytes().replace(b"Sch?del", b"Sch\xe4del"))
        result, remarks = made(tmp_path, path, Correction("PatientName", "Müller^Jürgen", "COERCE"))
        assert (result.PatientName, result.StudyDescription) == ("Müller^Jürgen", "Schädel")
        result, remarks = made(tmp_path, path, Correction("PatientName", "Иванова^Анна", "COERCE"))
        assert (result.PatientName, result.get("SpecificCharacterSet")) == ("Ivanova^Anna", None)
        assert remarks == ["PatientName in ASCII letters: the set of other texts is not stated"]


@pytest.mark.parametrize(
    ("vr", "value"), [(b"OB", b"abcd"), (b"SQ", b"abcdefgh"), (b"SQ", b"\xfe\xff\0\xe0\x09\0\0\0")]
)
def test_what_is_no_sequence_of_items_is_left_to_a_person(vr: bytes, value: bytes, tmp_path: Path) -> None:
    path = saved(dataset(PatientID="2"), tmp_path / "source.dcm")
    path.write_bytes(path.read_bytes() + struct.pack("<HH2sHL", 0x0400, 0x0561, vr, 0, len(value)) + value)
    with pytest.raises(BrokenPixels):
        corrected(path, tmp_path / "none.dcm", PATIENT, BY)
