"""Section `dicomweb`."""

from __future__ import annotations

from gateway.config.fields import Section


class DicomWebSection(Section):
    """What is served below /dicomweb of the console's address beside worklist and performed steps."""

    studies: bool | None = None
    """Searches for studies, their metadata and instances (PS3.18 10.4, 10.6), for whoever may look at the console.
    None: where the console is reached from this machine alone."""
