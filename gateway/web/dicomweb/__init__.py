"""Studies, worklist, performed steps and storage commitment over DICOMweb (PS3.18 chapters 10, 13 to 15)."""

from gateway.web.dicomweb.context import PATH, DicomWebContext, ServedStudies, Storing
from gateway.web.dicomweb.server import build
from gateway.web.dicomweb.storing.arriving import Room

__all__ = ["PATH", "DicomWebContext", "Room", "ServedStudies", "Storing", "build"]
