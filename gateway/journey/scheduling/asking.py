"""What a message will look for among what is stored: known when the message is read, looked for with that of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from gateway.journey.scheduling.order_lookup import numbers_of
from gateway.records.order import OrderedProcedure
from gateway.records.patient import Identity, PatientStatement, identity_of
from gateway.store import early, patients
from gateway.store.absences import Key
from gateway.store.order_book import Numbers
from gateway.store.read_ahead import Asked, asked

Statement = OrderedProcedure | PatientStatement


def asked_by(statements: Sequence[Statement], keys: Sequence[Key], locks: Sequence[str]) -> Asked | None:
    """What a message will look for and hold: patients, orders, and what may have come before an order. `keys`,
    `locks`: those of the message itself."""
    wanted = list(keys)
    identities: list[Identity] = []
    orders: list[Numbers] = []
    for statement in statements:
        if isinstance(statement, OrderedProcedure):
            numbers = numbers_of(statement)
            wanted += numbers.keys
            wanted += early.keys_of(numbers.study_uid, numbers.accession_number)
            orders.append(numbers)
            if "PatientID" in statement.patient:
                identities.append(identity_of(statement.patient))
        else:
            identities += (statement.identity, *statement.prior)
    wanted += map(patients.key_of, identities)
    return asked(wanted, partial(_locks, locks, identities, orders))


def _locks(own: Sequence[str], identities: Sequence[Identity], orders: Sequence[Numbers]) -> Iterator[str]:
    yield from own
    yield from map(patients.lock_of, identities)
    for numbers in orders:
        yield from numbers.locks
