"""What pages of scanners and studies show that takes the rules and mappings of the site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.journey.study_settling.targets import ResourcePreview
from gateway.operations.pictures import NO_PICTURES, Pictures
from gateway.operations.scanner_worklist import ScannerWorklist
from gateway.records.identifiers import StudyInstanceUID


@dataclass(frozen=True, slots=True)
class PageViews:
    """Handed in by the assembly; what is None is not shown."""

    scanners: Sequence[str] = ()
    """AE titles of the configuration."""
    worklist_of: Callable[[str, str], Awaitable[ScannerWorklist]] | None = None
    """From AE title and day (DA; empty: of its last query) to its worklist."""
    preview: Callable[[StudyInstanceUID], Awaitable[Sequence[ResourcePreview]]] | None = None
    """The resource of a study as it would be made now, for each EHR."""
    pictures: Pictures = NO_PICTURES
    """Previews of instances."""


NO_VIEWS: Final = PageViews()
