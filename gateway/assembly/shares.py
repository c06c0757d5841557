"""How the files that the process may have open are shared among the listeners."""

from __future__ import annotations

import logging
import resource
from typing import Final, NamedTuple

from gateway.config.tree import Config
from gateway.wire.dimse.server import WAITING
from gateway.wire.places import share_of_address

log = logging.getLogger(__name__)

SPARE: Final = 128
"""Files for the database, for receivers that are written to and for what waits on disk."""
_MOST: Final = 1_048_576
"""No listener needs more, and some systems have no limit."""


class HttpShare(NamedTuple):
    connections: int
    descriptors: int
    """HTTP gets none of this number or above: those are kept for HL7 and DICOM."""


def raise_limit() -> int:
    """Raise the soft limit of open files (RLIMIT_NOFILE) of the process to the hard one; returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:
            log.warning("the limit of open files stays at %d: %s", soft, error)
        else:
            log.info("the limit of open files is raised from %d to %d", soft, wanted)
    return limit()


def limit() -> int:
    """How many files the process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else min(soft, _MOST)


def of_address(most: int, stated: int | None) -> int:
    """How many of `most` connections one address may have: what the site states, else its share."""
    return stated or share_of_address(most)


def http_share(config: Config, descriptors: int) -> HttpShare:
    """What HTTP may take where the process may have `descriptors` files open: a quarter at most, and only while a
    quarter, or what HL7 and DICOM may need, is free."""
    kept = min(needed(config), descriptors // 4)
    return HttpShare(min(config.http.max_connections, max(descriptors // 4, 1)), descriptors - kept)


def needed(config: Config) -> int:
    """How many connections HL7 and DICOM may have."""
    return sum(one.max_connections for one in config.hl7.listeners) + config.dicom.max_associations + WAITING


def warn_of_want(config: Config, descriptors: int) -> None:
    """Say so where HL7 and DICOM could not have all connections that the configuration allows them."""
    if (wanted := needed(config) + SPARE) > descriptors:
        log.warning(
            "%d files may be open, and hl7.listeners and dicom allow for %d: raise the limit (LimitNOFILE, ulimit -n), "
            "or lower max_connections",
            descriptors, wanted,
        )  # fmt: skip
