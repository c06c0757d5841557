"""The associations over which commitment was asked for, while they are open: a report may go the same way."""

from __future__ import annotations

from typing import Final

from gateway.wire.dimse.commitment import OpenAssociation

MOST: Final = 256
"""So many are remembered before those that are over are forgotten."""


class OpenRequests:
    """By the row of the transaction. Of this process: after a restart nothing is open."""

    def __init__(self) -> None:
        self._associations: dict[int, OpenAssociation] = {}

    def add(self, commitment: int, association: OpenAssociation) -> None:
        """Remember the association of a request, in place of an older one of the same transaction."""
        if len(self._associations) >= MOST:
            self._associations = {row: one for row, one in self._associations.items() if one.is_open}
        self._associations[commitment] = association

    def of(self, commitment: int) -> OpenAssociation | None:
        """The association of a transaction, open or not; None: it is not known here."""
        return self._associations.get(commitment)

    def forget(self, commitment: int) -> None:
        """The transaction has been reported."""
        self._associations.pop(commitment, None)
