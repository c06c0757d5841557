"""Syslog messages as RFC 5424 writes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

AUTHPRIV: Final = 10
"""Facility: security and authorization messages (RFC 5424 Table 1; PS3.15 A.6)."""
NOTICE, WARNING = 5, 4
DICOM: Final = "DICOM+RFC3881"
"""MSGID of DICOM audit messages (PS3.15 A.6)."""
IHE: Final = "IHE+RFC-3881"
"""MSGID of the same messages by IHE ITI-20."""
_BOM: Final = b"\xef\xbb\xbf"
"""Begins a message that is UTF-8 (6.4)."""


@dataclass(frozen=True, slots=True)
class SyslogHeader:
    """What all messages of a sender begin with."""

    host: str
    application: str
    message_id: str = DICOM
    process_id: Callable[[], int] = os.getpid

    def message(self, body: bytes, moment: int, *, severity: int = NOTICE) -> bytes:
        """A message with the UTF-8 text `body`. `moment`: microseconds since 1970 UTC."""
        stamp = datetime.fromtimestamp(moment / 1_000_000, UTC).isoformat(timespec="milliseconds")
        fields = (
            f"<{AUTHPRIV * 8 + severity}>1", stamp.replace("+00:00", "Z"), _name(self.host, 255),
            _name(self.application, 48), str(self.process_id()), _name(self.message_id, 32), "-",
        )  # fmt: skip
        return " ".join(fields).encode("ascii") + b" " + _BOM + body


def _name(text: str, longest: int) -> str:
    """PRINTUSASCII (6), at most so long; `-` for nothing."""
    return "".join(one if "!" <= one <= "~" else "_" for one in text)[:longest] or "-"


def octet_counted(message: bytes) -> bytes:
    """The frame of a message over TLS (RFC 5425 4.3)."""
    return str(len(message)).encode("ascii") + b" " + message
