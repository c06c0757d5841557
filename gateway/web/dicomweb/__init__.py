"""Worklist, performed steps and storage commitment over DICOMweb (PS3.18 chapters 13 to 15)."""

from gateway.web.dicomweb.context import PATH, DicomWebContext
from gateway.web.dicomweb.server import build

__all__ = ["PATH", "DicomWebContext", "build"]
