"""The receivers of the configuration."""

from __future__ import annotations

from gateway.config.image_destinations import ImageDestination
from gateway.config.tree import Config
from gateway.records.receiver import Receiver, ReceiverType


def receivers_of(config: Config) -> tuple[Receiver, ...]:
    """EHRs, destinations of HL7, of DICOM and of instances, each in the order of the configuration."""
    of_dicom: list[ImageDestination] = [*config.dicom.destinations, *config.studies.forward_to]
    names = {
        ReceiverType.EHR: [one.name for one in config.ehrs],
        ReceiverType.HL7: [one.name for one in config.hl7.destinations],
        ReceiverType.DICOM: [one.name for one in of_dicom],
    }
    return tuple(Receiver(name, type) for type, of_type in names.items() for name in of_type)
