"""The associations that are established, counted by calling AE title and by address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from gateway.wire.dimse.association import Association
from gateway.wire.dimse.policy import Caller


class OpenAssociations:
    def __init__(self) -> None:
        self.by_title: Counter[str] = Counter()
        self.by_address: Counter[str] = Counter()
        self._callers: dict[Association, Caller] = {}

    def __len__(self) -> int:
        return len(self._callers)

    def __iter__(self) -> Iterator[Association]:
        return iter([*self._callers])

    def __contains__(self, association: object) -> bool:
        return association in self._callers

    def add(self, association: Association, caller: Caller) -> None:
        """Count an association that has been accepted."""
        self._callers[association] = caller
        self.by_title[caller.calling_ae] += 1
        self.by_address[caller.address] += 1

    def discard(self, association: Association) -> None:
        """Count it no more; nothing happens when it was never established."""
        if (caller := self._callers.pop(association, None)) is not None:
            _subtract(self.by_title, caller.calling_ae)
            _subtract(self.by_address, caller.address)


def _subtract(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
