from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.operations.state.certificates import certificate_parts
from gateway.operations.state.part import Level
from gateway.operations.state.sources import CertificateFile

NOW = datetime(2026, 1, 5, tzinfo=UTC)
MICROS = round(NOW.timestamp() * 1_000_000)


def certificate(days: int) -> bytes:
    """A certificate that ends in so many days."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=days))
    )
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("days", "level", "detail"),
    [
        (31, Level.GOOD, "31 days left"), (29, Level.WARN, "29 days left"), (6, Level.BAD, "6 days left"),
        (-1, Level.BAD, "has expired"),
    ],
)  # fmt: skip
def test_the_days_that_are_left_are_told(tmp_path: Path, days: int, level: Level, detail: str) -> None:
    file = tmp_path / "one.pem"
    file.write_bytes(certificate(days))
    [part] = certificate_parts([CertificateFile("dicom certificate", file)], MICROS)
    assert (part.level, part.detail) == (level, detail)


def test_of_several_the_first_to_end_counts_and_of_authorities_the_last(tmp_path: Path) -> None:
    file = tmp_path / "chain.pem"
    file.write_bytes(certificate(5) + certificate(300))
    own, authority = certificate_parts(
        [CertificateFile("own", file), CertificateFile("authority", file, is_authority=True)], MICROS
    )
    assert (own.level, authority.level) == (Level.BAD, Level.GOOD)
    file.write_text("no certificate", encoding="utf-8")
    [part] = certificate_parts([CertificateFile("own", file)], MICROS)
    assert part.detail.endswith("cannot be read (no PEM certificate)")
