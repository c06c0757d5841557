"""The Minimal Lower Layer Protocol: `0x0B` message `0x1C 0x0D` (HL7 transport specifications).

Release 2 adds commit acknowledgements: a block of the one byte 0x06 (stored) or 0x15 (not stored) ahead of the answer.
"""

from __future__ import annotations

START, END, CR, LF = 0x0B, 0x1C, 0x0D, 0x0A

COMMIT, NEGATIVE_COMMIT = b"\x06", b"\x15"
