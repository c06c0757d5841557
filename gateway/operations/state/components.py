"""Whether the gateway can do its work, component by component, as `/health/ready` shows it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.sql import literal

from gateway.errors import GatewayError
from gateway.store import Store

log = logging.getLogger(__name__)

PROBE_SECONDS: Final = 5.5
"""A little longer than the database has time to commit, so that its own words are shown."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the gateway, such as a listener. `detail` may be read without a login."""

    ok: bool
    """False: the gateway cannot do its work."""
    detail: str
    is_whole: bool = True
    """False: the gateway works, and a person should look."""


async def examine(
    store: Store, components: Callable[[], Awaitable[dict[str, Component]]], *, seconds: float = PROBE_SECONDS
) -> dict[str, Component]:
    """Every component, `database` (that it can be read) and `writing` first. One that cannot be asked within `seconds`
    is not well."""
    database, writing, others = await asyncio.gather(
        _database(store, seconds), _writing(store, seconds), _others(components, seconds)
    )
    return {"database": database, "writing": writing, **others}


async def _database(store: Store, seconds: float) -> Component:
    try:
        async with asyncio.timeout(seconds):
            await store.read(_probe)
    except TimeoutError:
        return Component(False, f"no answer within {seconds:g} s")
    except Exception as error:
        # The driver's words may name hosts and users: they are for the log, not for whoever asks.
        log.warning("the database does not answer: %s", error if isinstance(error, GatewayError) else type(error))
        return Component(False, "does not answer; the log says why")
    return Component(True, store.engine.dialect.name)


async def _writing(store: Store, seconds: float) -> Component:
    try:
        async with asyncio.timeout(seconds):
            cause = await store.pulse.ask()
    except TimeoutError:
        return Component(False, f"no commit within {seconds:g} s")
    return Component(not cause, cause or "commits")


def _probe(connection: Connection) -> None:
    connection.execute(select(literal(1)))


async def _others(components: Callable[[], Awaitable[dict[str, Component]]], seconds: float) -> dict[str, Component]:
    try:
        async with asyncio.timeout(seconds):
            return await components()
    except TimeoutError:
        return {"gateway": Component(False, f"no answer within {seconds:g} s")}
    except Exception as error:
        log.warning("the components cannot be asked: %s", type(error).__name__)
        return {"gateway": Component(False, "the components cannot be asked; the log says why")}
