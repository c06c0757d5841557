"""`gateway check` of `studies.forward_to`: whether its archives and folders can be reached."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.assembly.image_forwarding import stow_client_of
from gateway.config.image_destinations import ForwardTo, ImageDestination
from gateway.config.tree import Config
from gateway.errors import ConfigError, GatewayError
from gateway.operations.check import CheckFinding
from gateway.pixels import codecs

_REFUSED: Final = frozenset({401, 403})


def unused_forwarding(config: Config) -> Iterator[CheckFinding]:
    """Pixels that are kept for nobody, and destinations that get none."""
    has_destinations = bool(config.studies.forward_to) or any(one.store for one in config.dicom.destinations)
    if config.studies.storage == "headers":
        if has_destinations:
            text = "headers: destinations of instances get what is in the spool, and nothing of what arrives"
            yield CheckFinding("studies.storage", True, text, warning=True)
    elif not has_destinations:
        text = "forward, and no destination has store: files fill the spool until retention deletes their studies"
        yield CheckFinding("studies.storage", True, text, warning=True)
    if config.studies.storage == "forward" and not codecs.are_installed():
        text = (
            "forward without the codecs (imaging-gateway[pixels]): compressed instances are parked where a destination "
            "takes them only without compression, and there are no previews"
        )
        yield CheckFinding("studies.storage", True, text, warning=True)
    destinations: list[ImageDestination] = [*config.dicom.destinations, *config.studies.forward_to]
    for one in destinations:
        if one.compress and not codecs.are_installed():
            text = f"{one.name}: {one.compress} without the codecs (imaging-gateway[pixels]): instances go as they came"
            yield CheckFinding("compress", True, text, warning=True)


async def reached(destination: ForwardTo, most_seconds: float) -> CheckFinding:
    """Whether an archive lets us in, or a folder can be written; nothing is sent."""
    what = f"{destination.SECTION} {destination.name}"
    if destination.folder is not None:
        return await asyncio.to_thread(_folder, what, destination.folder)
    try:
        async with stow_client_of(destination, most_seconds) as client:
            status = await client.options()
    except ConfigError:
        return CheckFinding(what, False, "not asked, for it cannot be reached with these settings")
    except GatewayError as error:
        return CheckFinding(what, True, str(error), warning=True)
    if status in _REFUSED:
        return CheckFinding(what, False, f"{client.place} does not let us in (HTTP {status}): check auth")
    # Many archives serve no OPTIONS: whether it stores, only what comes shows.
    return CheckFinding(what, True, f"{client.place} answers (HTTP {status} to OPTIONS)")


def _folder(what: str, folder: Path) -> CheckFinding:
    if folder.exists() and not folder.is_dir():
        return CheckFinding(what, False, f"{folder} is no folder")
    if not folder.is_dir():
        text = f"{folder} is not there: make it, or mount its disk; instances wait until it is there"
        return CheckFinding(what, True, text, warning=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        return CheckFinding(what, False, f"{folder} cannot be written by this user")
    if os.path.ismount(folder):
        text = f"{folder} is a mount point: name a folder below it, for without its disk the mount point is written to"
        return CheckFinding(what, True, text, warning=True)
    return CheckFinding(what, True, f"{folder} can be written")
