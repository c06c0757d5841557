"""The configuration and the store of a command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.cli.output import CommandFailure

if TYPE_CHECKING:
    from gateway.config.tree import Config

T = TypeVar("T")
NAME_IT = "name the gateway's configuration with -c, and in it database.url"
"""Where there is no database: without the key it is looked for in the folder of the command."""


def read_again(path: Path | None) -> Config:
    """The configuration as its file and the environment say now. Raises `ConfigError`."""
    from gateway.config.tree import load

    return load(file_of(path))


def file_of(path: Path | None) -> Path | None:
    """The file of the configuration; None: there is none, the defaults count."""
    default = Path("gateway.yaml")
    return path or (default if default.is_file() else None)


def configuration(path: Path | None) -> Config:
    """The configuration of a command, and logging as it says."""
    from gateway.observe import logs

    config = read_again(path)
    logs.configure(level=config.log.level, form=config.log.format, phi=config.log.phi)
    return config


def with_store(config: Config, work: Callable[[Any], Awaitable[T]], *, create: bool = False) -> T:
    """Open the store, do `work`, close it. `create`: make a new one where there is none."""
    from gateway.store import Store
    from gateway.store.engine import sqlite_file

    file = sqlite_file(config.database.url)
    if file is not None and not file.exists() and not create:
        raise CommandFailure(f"there is no database {file.absolute()}; {NAME_IT}")

    async def inside() -> T:
        database = config.database
        store = await Store.open(database.url, answer_seconds=database.answer_seconds, job_seconds=database.job_seconds)
        try:
            return await work(store)
        finally:
            await store.close()

    coroutine: Coroutine[Any, Any, T] = inside()
    return asyncio.run(coroutine)
