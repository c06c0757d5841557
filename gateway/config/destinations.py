"""List `hl7.destinations`: the systems that receive statuses of examinations, or messages as they came, over MLLP."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.config.fields import Charset, MessageType, Port, Seconds, Section
from gateway.config.receiver import ClientTls, ReceiverName, Retry
from gateway.records.order_progress import Progress
from gateway.wire.hl7.writing import MOST_NAME

Name = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=MOST_NAME)]


class DestinationRetry(Retry):
    max_seconds: Seconds = 60.0


class Destination(Section):
    """A system that listens for HL7 v2 over MLLP."""

    name: ReceiverName
    host: str = "127.0.0.1"
    port: Port
    tls: ClientTls | None = None
    status: Literal["", "ORM^O01", "OMG^O19", "OMI^O23", "ORU^R01", "SIU^S14"] = "ORM^O01"
    """Type of the messages that tell how orders stand; empty: none are sent."""
    statuses: Annotated[list[Progress], Field(min_length=1)] = list(Progress)
    """What an order must have come to for a message to be sent."""
    version: Literal["", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2"] = ""
    """MSH-12; empty: 2.3.1 for ORM, 2.5.1 for the others."""
    charset: Charset = "UNICODE UTF-8"
    """Character set of the messages (MSH-18, HL7 table 0211); empty: ASCII."""
    sending_application: Name = "GATEWAY"
    """MSH-3."""
    sending_facility: Name = ""
    """MSH-4; empty: `site.name`."""
    receiving_application: Name = ""
    """MSH-5."""
    receiving_facility: Name = ""
    """MSH-6."""
    forward: list[MessageType] = []
    """Types of received messages that are passed on with their bytes unchanged, such as ADT or ADT^A08."""
    connections: Annotated[int, Field(ge=1, le=64)] = 1
    """How many connections are kept open; on each, a message waits for the acknowledgement of the one before."""
    timeout_seconds: Seconds = 30.0
    """For connecting, and for an acknowledgement."""
    retry: DestinationRetry = DestinationRetry()

    @model_validator(mode="after")
    def _is_of_use(self) -> Self:
        if not self.status and not self.forward:
            raise ValueError("sends nothing: give status a message type, or forward some")
        return self
