"""Worklist and performed steps over DICOMweb (PS3.18 chapters 14 and 15)."""

from gateway.web.dicomweb.context import PATH
from gateway.web.dicomweb.server import build

__all__ = ["PATH", "build"]
