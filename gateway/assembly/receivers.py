"""The receivers of the configuration, and its sources of studies."""

from __future__ import annotations

from gateway.config.image_destinations import ImageDestination
from gateway.config.tree import Config
from gateway.records.receiver import Receiver, ReceiverType
from gateway.records.windows import Windows


def receivers_of(config: Config) -> tuple[Receiver, ...]:
    """EHRs, destinations of HL7, of DICOM and of instances, sources of studies, each in the order of the
    configuration."""
    ehrs = [Receiver(one.name, ReceiverType.EHR) for one in config.ehrs]
    of_hl7 = [Receiver(one.name, ReceiverType.HL7) for one in config.hl7.destinations]
    of_images: list[ImageDestination] = [*config.dicom.destinations, *config.studies.forward_to]
    of_dicom = [Receiver(one.name, ReceiverType.DICOM, Windows.of(one.windows, config.site.zone)) for one in of_images]
    sources = [Receiver(one.name, ReceiverType.SOURCE) for one in config.studies.sources if one.enabled]
    return (*ehrs, *of_hl7, *of_dicom, *sources)
