"""Calls from the gateway that block the event loop are errors; the few that may stand here, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from blockbuster import BlockBuster

ALLOWED: Final = (
    # Before any listener is bound nobody waits for the loop.
    "gateway/mapping/__init__.py",
    "gateway/mapping/scanners.py",
    "gateway/mapping/language/files.py",
    "gateway/config/site.py",
    "gateway/config/fields.py",
    "gateway/config/yaml_file.py",
    "gateway/assembly/instance_lock.py",
    "gateway/store/engine.py",
    "gateway/wire/dimse/_pynetdicom.py",
    "gateway/simulators/manners_file.py",
    "importlib/_bootstrap_external.py",
    "<frozen importlib._bootstrap_external>",
    # Files of some hundred bytes, on a local disk: has a key or token been exchanged?
    "gateway/wire/oauth/watched_file.py",
    "gateway/wire/oauth/authorization.py",
    "gateway/wire/oauth/keys.py",
    # /proc, which no disk is asked for.
    "gateway/observe/metrics.py",
    # Log lines go to standard error.
    "logging/__init__.py",
    # A handler of a test looks at /proc.
    "tests/wire/dimse/test_malformed.py",
    # Tests that themselves call a function of the gateway which is made for threads.
    "tests/peers/dcmtk.py",
    "tests/store/test_statement.py",
    # A process of its own, which tests call in theirs.
    "gateway/wire/hl7/structure.py",
)


class _EveryFunction:
    """Stands for all functions of a file."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())


def watch() -> BlockBuster:
    """Watches calls whose stack has a module of the gateway; not yet active."""
    blockbuster = BlockBuster(scanned_modules="gateway")
    for function in blockbuster.functions.values():
        for file in ALLOWED:
            function.can_block_in(file, _EveryFunction())
    return blockbuster
