"""`gateway check` of archives that are asked by C-FIND: a C-ECHO, and a query for the studies of today."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.assembly.dicom_sources import peer_of_source
from gateway.assembly.worklist import policy_of
from gateway.clock import local_day, now
from gateway.config.study_sources import StudySource
from gateway.config.tree import Config
from gateway.errors import ConfigError, GatewayError, UnsupportedType
from gateway.journey.study_arrival.sources.cfind_answers import number
from gateway.journey.study_arrival.sources.cfind_stretches import Stretch
from gateway.operations.check import CheckFinding
from gateway.wire.dimse import requestor_operations as operations
from gateway.wire.dimse.policy import STORAGE
from gateway.wire.dimse.requestor import RequestedAssociation, associated
from gateway.wire.dimse.requestor_operations import VERIFICATION, context_for, proposals
from gateway.wire.dimse.requestor_query import FIND, GET, MOVE, LimitedAnswersError, find

MOST: Final = 200
"""Studies that are asked for."""
_COUNTS: Final = "NumberOfStudyRelatedInstances"
_CURES: Final = (
    ("calling-AE-title-not-recognized", "add {calling} to the AE titles that the archive knows"),
    ("called-AE-title-not-recognized", "check ae_title"),
    (
        "aborted",
        "many archives abort for an AE title that they do not know: add {calling} to those, or allow it to query",
    ),
    ("cannot be reached", "check host and port, and that the archive runs"),
    ("none of the SOP classes", "it must let {calling} use Verification and C-FIND of the Study Root model"),
    ("A900", "the archive does not take the query: ask its vendor for C-FIND of the Study Root model"),
    ("0124", "allow {calling} to query"),
)
"""What is in the text of an error, and what cures it."""


async def asked(config: Config, section: StudySource, most_seconds: float) -> CheckFinding:
    """Whether an archive lets itself be asked. A source that does not is asked again later: no reason not to start."""
    what = f"studies.sources {section.name}"
    try:
        peer = peer_of_source(config, section, min(section.timeout_seconds, most_seconds))
        retrieval = GET if section.retrieve == "get" else MOVE
        async with associated(peer, proposals(VERIFICATION, FIND, retrieval)) as association:
            remarks = [*await _remarks(config, association), *_retrieving(config, section, association, retrieval)]
    except ConfigError:
        return CheckFinding(what, False, "not asked, for it cannot be reached with these settings")
    except GatewayError as error:
        calling = section.calling_ae or config.dicom.ae_title
        return CheckFinding(what, True, f"{error}{_cure(str(error), calling)}", warning=True)
    detail = "; ".join([f"{peer.place} answers", *remarks])
    return CheckFinding(what, True, detail, warning=len(remarks) > 1)


async def _remarks(config: Config, association: RequestedAssociation) -> list[str]:
    """How many studies there are of today, and what a person should know of the answers."""
    await operations.echo(association)
    today = local_day(now(), config.site.zone)
    keys = {"StudyInstanceUID": "", _COUNTS: "", **Stretch.of_days(today, today).keys()}
    try:
        answers = (await find(association, "STUDY", keys, most=MOST)).identifiers
    except LimitedAnswersError:
        return [f"more than {MOST} studies of today, or than it gives"]
    remarks = [f"{len(answers)} studies of today"]
    if answers and all(number(one, _COUNTS) is None for one in answers):
        remarks.append("it states no number of instances: the studies of window_days are read again every ten minutes")
    return remarks


def _retrieving(
    config: Config, section: StudySource, association: RequestedAssociation, retrieval: str
) -> Iterator[str]:
    try:
        context_for(association, retrieval)
    except UnsupportedType:
        other = "move" if section.retrieve == "get" else "get"
        yield f"it does not accept C-{section.retrieve.upper()}: try retrieve: {other}"
    if section.retrieve == "move" and not _may_store(config, str(section.ae_title)):
        yield f"{section.ae_title} may not store here: let it in dicom.peers or dicom.allowed_calling_aes, for C-MOVE"


def _may_store(config: Config, calling_ae: str) -> bool:
    policy = policy_of(config.dicom)
    peer = policy.peers.get(calling_ae, policy.others)
    return peer is not None and STORAGE in peer.services


def _cure(text: str, calling: str) -> str:
    cure = next((cure for part, cure in _CURES if part in text), "")
    return f": {cure.format(calling=calling)}" if cure else ""
