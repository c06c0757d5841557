"""A service class provider, as its user knows it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import Rejected

IMPLEMENTATION: Final = ("1.2.826.0.1.3680043.8.498.2", "IMAGING_GATEWAY")
"""Implementation Class UID and Version Name where the site has none of its own."""


MAX_TITLE: Final = 16


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for each phase; `response`: for each response, and for the peer to take more of what is sent."""

    connect: float = 10.0
    associate: float = 10.0
    response: float = 60.0
    release: float = 5.0

    @classmethod
    def of(cls, seconds: float) -> Timeouts:
        """The same for each phase, but for the release, which nobody needs."""
        return cls(seconds, seconds, seconds, min(seconds, 5.0))


@dataclass(frozen=True, slots=True)
class RequestedPeer:
    """A service class provider and how it is reached."""

    host: str
    port: int
    called_ae: str
    calling_ae: str
    timeouts: Timeouts = field(default=Timeouts())
    tls: ssl.SSLContext | None = None
    implementation: tuple[str, str] = IMPLEMENTATION

    def __post_init__(self) -> None:
        """Raises `Rejected` for an AE title that no PDU has room for (PS3.8 9.3.2)."""
        for title in (self.called_ae, self.calling_ae):
            if not title.strip() or len(title) > MAX_TITLE or not title.isascii():
                raise Rejected(f"an AE title has 1 to {MAX_TITLE} characters of ASCII, not {title!r}", place=self.place)

    @property
    def place(self) -> str:
        return f"{self.called_ae}@{self.host}:{self.port}"
