"""The libraries of the extra `pixels`, imported when they are needed first: the gateway runs without them."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from gateway.pixels.faults import CodecMissing


@cache
def imagecodecs() -> Any:
    """The codecs; raises `CodecMissing`."""
    return _imported("imagecodecs")


@cache
def numpy() -> Any:
    """Raises `CodecMissing`."""
    return _imported("numpy")


def are_installed() -> bool:
    """Whether instances can be decoded at all."""
    return find_spec("imagecodecs") is not None


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise CodecMissing from error
