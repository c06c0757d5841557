"""The receivers of the configuration."""

from __future__ import annotations

from gateway.config.tree import Config
from gateway.records.receiver import Receiver, ReceiverType


def receivers_of(config: Config) -> tuple[Receiver, ...]:
    """EHRs, destinations of HL7 and of DICOM, each in the order of the configuration."""
    names = {
        ReceiverType.EHR: [one.name for one in config.ehrs],
        ReceiverType.HL7: [one.name for one in config.hl7.destinations],
        ReceiverType.DICOM: [one.name for one in config.dicom.destinations],
    }
    return tuple(Receiver(name, type) for type, of_type in names.items() for name in of_type)
