"""Data elements of PS3.6, and a character set of PS3.3, that the installed pydicom does not have, as data: importing
this module makes them known.

Keywords, VRs and names are looked up in pydicom everywhere: in mapping rows, worklist identifiers, implicit VR data
sets and DICOM JSON. A module that looks up imports this one first. What pydicom knows stays as pydicom has it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pydicom.charset import python_encoding
from pydicom.datadict import add_dict_entries, dictionary_has_tag


class DataElementEntry(NamedTuple):
    """A row of PS3.6 Table 6-1."""

    tag: int
    vr: str
    vm: str
    name: str
    keyword: str
    edition: str
    """The edition of the standard in which the element appeared."""


_E = DataElementEntry
ADDED: Final = (
    _E(0x0008114C, "SQ", "1", "Referenced Segmentation Sequence", "ReferencedSegmentationSequence", "2024d"),
    _E(0x00081301, "SQ", "1", "Principal Diagnosis Code Sequence", "PrincipalDiagnosisCodeSequence", "2025a"),
    _E(0x00081302, "SQ", "1", "Primary Diagnosis Code Sequence", "PrimaryDiagnosisCodeSequence", "2025a"),
    _E(0x00081303, "SQ", "1", "Secondary Diagnoses Code Sequence", "SecondaryDiagnosesCodeSequence", "2025a"),
    _E(0x00081304, "SQ", "1", "Histological Diagnoses Code Sequence", "HistologicalDiagnosesCodeSequence", "2025a"),
    _E(0x00100011, "SQ", "1", "Person Names to Use Sequence", "PersonNamesToUseSequence", "2025b"),
    _E(0x00100012, "LT", "1", "Name to Use", "NameToUse", "2025b"),
    _E(0x00100013, "UT", "1", "Name to Use Comment", "NameToUseComment", "2025b"),
    _E(0x00100014, "SQ", "1", "Third Person Pronouns Sequence", "ThirdPersonPronounsSequence", "2025b"),
    _E(0x00100015, "SQ", "1", "Pronoun Code Sequence", "PronounCodeSequence", "2025b"),
    _E(0x00100016, "UT", "1", "Pronoun Comment", "PronounComment", "2025b"),
    _E(0x00100041, "SQ", "1", "Gender Identity Sequence", "GenderIdentitySequence", "2025b"),
    _E(
        0x00100042, "UT", "1", "Sex Parameters for Clinical Use Category Comment",
        "SexParametersForClinicalUseCategoryComment", "2025b",
    ),
    _E(
        0x00100043, "SQ", "1", "Sex Parameters for Clinical Use Category Sequence",
        "SexParametersForClinicalUseCategorySequence", "2025b",
    ),
    _E(0x00100044, "SQ", "1", "Gender Identity Code Sequence", "GenderIdentityCodeSequence", "2025b"),
    _E(0x00100045, "UT", "1", "Gender Identity Comment", "GenderIdentityComment", "2025b"),
    _E(
        0x00100046, "SQ", "1", "Sex Parameters for Clinical Use Category Code Sequence",
        "SexParametersForClinicalUseCategoryCodeSequence", "2025b",
    ),
    _E(
        0x00100047, "UR", "1-n", "Sex Parameters for Clinical Use Category Reference",
        "SexParametersForClinicalUseCategoryReference", "2025b",
    ),
    _E(0x00102162, "UC", "1-n", "Ethnic Groups", "EthnicGroups", "2025b"),
    _E(0x0040A034, "DT", "1", "Effective Start DateTime", "EffectiveStartDateTime", "2025b"),
    _E(0x0040A035, "DT", "1", "Effective Stop DateTime", "EffectiveStopDateTime", "2025b"),
    _E(0x0008001D, "SQ", "1", "Sensitive Content Code Sequence", "SensitiveContentCodeSequence", "2026a"),
    _E(0x0040E012, "UR", "1", "Display URI", "DisplayURI", "2026c"),
)  # fmt: skip

LATIN_9: Final = ("ISO_IR 203", "ISO 2022 IR 203")
"""In PS3.3 C.12.1.1.2 since 2023."""


def _register() -> None:
    for one in LATIN_9:
        python_encoding.setdefault(one, "iso8859_15")
    lacking = (one for one in ADDED if not dictionary_has_tag(one.tag))
    add_dict_entries({one.tag: (one.vr, one.vm, one.name, "", one.keyword) for one in lacking})


_register()
