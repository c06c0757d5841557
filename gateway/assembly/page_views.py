"""What pages of scanners and studies show, with the rules and mappings that are in force when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gateway import mapping
from gateway.assembly.studies import study_settling
from gateway.assembly.worklist import scanner_worklist, scanners_of
from gateway.clock import Clock
from gateway.config.tree import Config
from gateway.journey.study_settling.targets import ResourcePreview
from gateway.operations.page_views import PageViews
from gateway.operations.pictures import Pictures
from gateway.records.identifiers import StudyInstanceUID
from gateway.store import Store


def page_views(config: Config, store: Store, mappings: mapping.Mappings, clock: Clock, pictures: Pictures) -> PageViews:
    """The views of a running gateway."""

    async def preview(study_uid: StudyInstanceUID) -> Sequence[ResourcePreview]:
        return await study_settling(config, store, mappings, clock).preview(study_uid)

    worklist_of = partial(scanner_worklist, config, store, mappings, clock)
    return PageViews(scanners_of(config.dicom), worklist_of, preview, pictures)
