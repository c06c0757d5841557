"""A secret by which a program, or a scanner that speaks DICOMweb, shows who it is."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.records.person import Role
from gateway.records.row_ids import TokenRow


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What is kept of it; moments are microseconds since 1970 UTC."""

    row: TokenRow
    name: str
    """Of the client that has it."""
    role: Role | None
    """At the console and the API; None: it is a scanner's, which opens `/dicomweb` alone."""
    ae_title: str
    """Of the scanner; empty: it is none."""
    made_at: int
    made_by: str
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None

    def counts(self, now: int) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
