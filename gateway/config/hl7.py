"""Section `hl7`: listeners and their senders, and destinations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from gateway.config.destinations import Destination
from gateway.config.fields import (
    OFF_OF_YAML,
    AETitle,
    Charset,
    MessageType,
    Network,
    Port,
    Seconds,
    Section,
    mark_doubled,
)


class SenderRules(Section):
    """How messages are read and answered."""

    charset: Charset = ""
    """Character set (HL7 table 0211) of messages whose MSH-18 is empty; empty: UTF-8, then Windows-1252."""
    override_charset: Charset = ""
    """Character set of all messages, for a sender whose MSH-18 is not true."""
    undecodable: Literal["reject", "replace"] = "reject"
    """What to do with bytes that the character set does not have: answer AE, or read U+FFFD in their place."""
    message_types: list[MessageType] = []
    """Types that are taken, such as ORM or ADT^A40; empty: all that the gateway serves."""
    unserved_types: Literal["reject", "store"] = "reject"
    """What to do with other types: answer AR 200 or 201, or keep the message and answer AA."""
    training: Literal["keep", "apply"] = "keep"
    """What to do with messages for training and debugging (MSH-11 T or D): keep and answer AA, or apply them."""
    without_modality: Literal["reject", "store"] = "reject"
    """What to do with an order without a modality of the table `modality`, such as one for a laboratory: answer AE, or
    keep its message and answer AA."""
    conformance: Annotated[Literal["off", "warn", "reject"], OFF_OF_YAML] = "warn"
    """Check the structure by the standard: not, beside the journey with what is found kept, or before an AR 100."""
    conformance_version: Literal[
        "", "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2"
    ] = ""
    """HL7 version to check by; empty: the one that MSH-12 states."""
    acknowledge: Literal["original", "enhanced"] = "original"
    """One application acknowledgement, or what MSH-15 and MSH-16 ask for (CA, CE, CR, then AA, AE, AR)."""


class SenderSource(SenderRules):
    """A sending application and facility. What it does not say is as its listener says."""

    application: str = ""
    """MSH-3.1; empty: any."""
    facility: str = ""
    """MSH-4.1; empty: any."""


class ListenerTls(Section):
    certificate: Path
    """PEM file with our certificate and those that lead to its root."""
    key: Path
    """PEM file with its private key."""
    key_password: str | None = Field(default=None, repr=False)
    """Password of the private key (or `key_password_file`)."""
    client_ca: Path | None = None
    """PEM file with the authorities whose clients are let in; empty: clients need no certificate."""


class Listener(SenderRules):
    """One MLLP port on which a RIS sends."""

    name: str = "ris"
    host: str = "127.0.0.1"
    port: Port = 2575
    tls: ListenerTls | None = None
    allowed_addresses: list[Network] = []
    """Addresses or networks (10.1.0.0/16) of the senders that are let in; empty: any."""
    allowed_certificates: list[str] = []
    """Common names or DNS names of the client certificates that are let in; empty: any that `client_ca` issued."""
    mllp_release: Literal[1, 2] = 1
    """Release 2 confirms each message (0x06) once it is on disk, before its acknowledgement."""
    sources: list[SenderSource] = []
    """The senders that are taken, the first that fits; empty: any."""
    max_message_bytes: Annotated[int, Field(ge=1024)] = 10 * 1024 * 1024
    idle_seconds: Seconds = 3600.0
    """How long a connection may be silent between messages."""
    message_seconds: Seconds = 60.0
    """How long a message may take from its first byte to its last."""
    max_connections: Annotated[int, Field(ge=1)] = 512
    max_connections_per_address: Annotated[int, Field(ge=1)] | None = None
    """None: three quarters of those in all."""
    on_failure: Literal["answer", "close"] = "answer"
    """When the database is away: answer AR 207, or close without an answer so that the sender keeps its message."""
    station_aes: list[AETitle] = []
    """Scheduled Station AE Titles of steps for which the RIS names none; empty offers them to every station."""

    @field_validator("sources", mode="before")
    @classmethod
    def _none_is_listed(cls, value: Any) -> Any:
        return [] if value is None else value

    @model_validator(mode="after")
    def _certificates_need_an_authority(self) -> Self:
        if self.allowed_certificates and (self.tls is None or self.tls.client_ca is None):
            raise ValueError("allowed_certificates needs tls.client_ca: without it no client shows a certificate")
        return self


class Hl7(Section):
    listeners: list[Listener] = [Listener()]
    destinations: list[Destination] = []
    unknown_order_control: Literal["reject", "ignore"] = "reject"
    unknown_order: Literal["wait", "reject"] = "wait"
    """What to do with a hold or release of an order that has not come: keep it for when it does, or answer AE 204."""
    patient_data: Literal["fill", "newest"] = "fill"
    """Whether orders only fill attributes of a patient that no ADT has set, or the newest message counts."""

    @field_validator("listeners", mode="before")
    @classmethod
    def _names_are_unique(cls, value: Any) -> Any:
        return mark_doubled(value)

    @field_validator("destinations", mode="before")
    @classmethod
    def _none_or_unique_names(cls, value: Any) -> Any:
        return mark_doubled([] if value is None else value)
