"""Certificates in files of the configuration: how long each is still good for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from gateway.operations.state.part import Fact, Form, Kind, Level, Part
from gateway.operations.state.sources import CertificateFile

SOON_DAYS: Final = 30
NOW_DAYS: Final = 7
DAY: Final = 86_400 * 1_000_000


def certificate_parts(files: Iterable[CertificateFile], now: int) -> Iterator[Part]:
    """A part for each file. Reads files: run it in a thread."""
    for file in files:
        try:
            ends = _ends(file.path, file.path.stat().st_mtime_ns)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no PEM certificate"
            yield Part(Kind.CERTIFICATE, file.name, Level.BAD, f"{file.path} cannot be read ({reason})")
            continue
        end = max(ends) if file.is_authority else min(ends)
        yield _part(file, end, now)


def _part(file: CertificateFile, end: int, now: int) -> Part:
    days = (end - now) // DAY
    facts = (
        Fact("ends", end, Form.MOMENT),
        Fact("days left", max(days, 0), Form.DAYS),
        Fact("file", str(file.path)),
    )
    if end <= now:
        return Part(Kind.CERTIFICATE, file.name, Level.BAD, "has expired", facts)
    level = Level.BAD if days < NOW_DAYS else Level.WARN if days < SOON_DAYS else Level.GOOD
    return Part(Kind.CERTIFICATE, file.name, level, f"{days} days left", facts)


@lru_cache(maxsize=64)
def _ends(path: Path, _changed: int) -> tuple[int, ...]:
    """When each certificate of a file ends. Raises `OSError`, and `ValueError` when the file holds none."""
    # Only who has certificates waits for the library.
    from cryptography.x509 import load_pem_x509_certificates

    found = load_pem_x509_certificates(path.read_bytes())
    return tuple(round(one.not_valid_after_utc.timestamp() * 1_000_000) for one in found)
