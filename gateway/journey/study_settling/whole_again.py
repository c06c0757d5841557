"""A study that was deleted here by its age comes again whole, or a person must look at it."""

from __future__ import annotations

from gateway.errors import NeedsPerson
from gateway.records.study import Study
from gateway.store.deleted_studies import DeletedStudy


def whole_again(study: Study, before: DeletedStudy) -> None:
    """Raise `NeedsPerson` when a study that was deleted by its age has come again with fewer instances: EHRs, which
    hold all of it, would be sent a part."""
    number = sum(len(one.instances) for one in study.series)
    if number < before.instances:
        raise NeedsPerson(
            f"{number} of {before.instances} instances have come again of a study that was deleted here by its age; "
            "have the archive send all of it, or let 'gateway retention forget' take what is here for the whole",
            place=study.uid,
        )
