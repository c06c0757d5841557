"""Previews of kept instances, made in processes of their own."""

from __future__ import annotations

from typing import Final

from gateway.config.tree import Config
from gateway.operations.pictures import NO_PICTURES, Pictures
from gateway.pixels import codecs
from gateway.pixels.pool import Pool

NO_CODECS: Final = "the codecs are not installed (imaging-gateway[pixels])"


def pictures_of(config: Config, pool: Pool) -> Pictures:
    """What the console shows of pixels."""
    folder = config.studies.spool.folder
    if config.studies.storage == "headers" or folder is None:
        return NO_PICTURES
    if not codecs.are_installed():
        return Pictures(NO_CODECS)
    return Pictures(path_of=lambda file: folder / file, preview=pool.preview)
