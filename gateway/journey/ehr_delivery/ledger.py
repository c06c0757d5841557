"""The ledger as deliveries that run beside each other ask it: by one statement for all that wait."""

from __future__ import annotations

import asyncio
from functools import partial

from gateway.store import Store, ehr_resources
from gateway.store.ehr_resources import Entry, ResourceKey


class Ledger:
    """What the EHRs hold of ours. Questions that come while one is under way are answered together by the next."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked: list[tuple[ResourceKey, asyncio.Future[Entry | None]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def entry(self, key: ResourceKey) -> Entry | None:
        """What the EHR holds of `key`, None for nothing. Raises `Unavailable`."""
        future: asyncio.Future[Entry | None] = asyncio.get_running_loop().create_future()
        self._asked.append((key, future))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="ledger")
        return await future

    async def _ask(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, []
            try:
                entries = await self._store.read(partial(ehr_resources.get_all, keys=[key for key, _ in asked]))
            except Exception as error:
                for _, future in asked:
                    if not future.done():
                        future.set_exception(error)
            else:
                for key, future in asked:
                    if not future.done():
                        future.set_result(entries.get(key))
