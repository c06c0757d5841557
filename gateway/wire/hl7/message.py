"""A tolerant reader of HL7 v2 messages in the `|^~\\&` encoding (HL7 2.5.1 ch. 2.5 to 2.7, 2.14).

Nothing is split before it is asked for, escapes are resolved last; all that arrived can be written back.
"""

from __future__ import annotations

from gateway.wire.hl7.escapes import Delimiters
from gateway.wire.hl7.header import CONTROL_ID as _CONTROL_ID
from gateway.wire.hl7.header import TIMESTAMP as _TIMESTAMP
from gateway.wire.hl7.header import header_of
from gateway.wire.hl7.segment import Segment


class Message:
    """A message as read: its bytes, its text and its segments."""

    __slots__ = (
        "_bom",
        "_lead",
        "codec",
        "declared_charset",
        "delimiters",
        "header",
        "msh",
        "raw",
        "segments",
        "text",
        "trigger",
        "type",
    )

    def __init__(
        self,
        raw: bytes,
        text: str,
        *,
        declared_charset: str,
        codec: str,
        bom: bytes,
        lead: str,
        delimiters: Delimiters,
        segments: tuple[Segment, ...],
    ) -> None:
        self.raw = raw
        self.text = text
        """All of it, decoded, without byte order mark."""
        self.declared_charset = declared_charset
        """MSH-18 as sent, with its repetitions."""
        self.codec = codec
        """The Python codec that read the bytes."""
        self.delimiters = delimiters
        self.segments = segments
        self._bom = bom
        self._lead = lead
        self.msh = next(segment for segment in segments if segment.name == "MSH")
        self.header = header_of(self.msh, codec)
        self.type = self.header.type
        """MSH-9.1, `ORM`."""
        self.trigger = self.header.trigger
        """MSH-9.2, `O01`."""

    @property
    def bom(self) -> bytes:
        """The byte order mark with which the message begins, if it has one."""
        return self._bom

    @property
    def control_id(self) -> str:
        return self.msh.leaf(_CONTROL_ID)

    @property
    def sending_application(self) -> str:
        return self.header.sending_application

    @property
    def sending_facility(self) -> str:
        return self.header.sending_facility

    @property
    def receiving_application(self) -> str:
        return self.header.receiving_application

    @property
    def receiving_facility(self) -> str:
        return self.header.receiving_facility

    @property
    def timestamp(self) -> str:
        return self.msh.leaf(_TIMESTAMP)

    @property
    def processing_id(self) -> str:
        """MSH-11.1, `P`."""
        return self.header.processing_id

    @property
    def accept_acknowledgement(self) -> str:
        """MSH-15 (table 0155): when to send an accept acknowledgement."""
        return self.header.accept_acknowledgement

    @property
    def application_acknowledgement(self) -> str:
        """MSH-16 (table 0155)."""
        return self.header.application_acknowledgement

    @property
    def version(self) -> str:
        return self.header.version

    def first(self, name: str) -> Segment | None:
        for segment in self.segments:
            if segment.name == name:
                return segment
        return None

    def all(self, name: str) -> list[Segment]:
        return [segment for segment in self.segments if segment.name == name]

    def encode(self) -> bytes:
        """The segments written back: the bytes of `raw`."""
        text = self._lead + "".join([segment._text + segment._end for segment in self.segments])
        data = text.encode(self.codec, "replace")
        # ISO 2022 and the East Asian sets can spell one text in several ways; the sender's own is kept.
        if text == self.text and self._bom + data != self.raw:
            return self.raw
        return self._bom + data
