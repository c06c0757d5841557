from __future__ import annotations

import pytest

from gateway.wire.hl7.field_names import VERSIONS, field_names


@pytest.mark.parametrize(
    ("version", "key", "name"),
    [
        ("2.5.1", "PID-3", "Patient identifier list"), ("2.3.1^DEU", "PID-3", "Patient identifier list"),
        ("2.9", "OBR-4", "Universal service identifier"), ("", "PID-7", "Date time of birth"),
        ("odd", "ORC-1", "Order control"),
    ],
)  # fmt: skip
def test_a_field_has_the_name_of_the_standard(version: str, key: str, name: str) -> None:
    assert field_names(version)[key] == name


def test_all_versions_of_hl7apy_are_known() -> None:
    import hl7apy

    assert set(VERSIONS) == set(hl7apy.SUPPORTED_LIBRARIES)
