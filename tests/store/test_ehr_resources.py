"""The ledger of what EHRs hold, read and written for many deliveries at once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from gateway.store import Store, ehr_resources
from gateway.store.ehr_resources import Entry, ResourceKey

KEYS = [ResourceKey("main", "ImagingStudy", f"urn:dicom:uid|urn:oid:1.{number}") for number in range(4)]


def entry(identity: str, version: str = "1") -> Entry:
    return Entry(identity, version, b"digest of " + identity.encode())


async def test_each_key_has_its_own_entry(store: Store) -> None:
    elsewhere, task = replace(KEYS[0], ehr="other"), replace(KEYS[0], kind="Task")
    noted = [(KEYS[0], entry("a")), (KEYS[1], entry("b")), (elsewhere, entry("a", "9")), (task, entry("a", "7"))]
    await store.write(partial(ehr_resources.remember, noted=noted, now=1))
    await store.write(partial(ehr_resources.remember, noted=[(KEYS[1], entry("b", "2")), (KEYS[2], entry("c"))], now=2))
    held = await store.read(partial(ehr_resources.get_all, keys=[*KEYS, elsewhere, task]))
    assert held == dict([*noted, (KEYS[1], entry("b", "2")), (KEYS[2], entry("c"))])


async def test_an_id_that_is_given_to_several_belongs_to_the_last(store: Store) -> None:
    """Whether it was given within one set or in another."""
    await store.write(partial(ehr_resources.remember, noted=[(KEYS[0], entry("a")), (KEYS[1], entry("b"))], now=1))
    noted = [(KEYS[2], entry("a")), (KEYS[3], entry("c")), (KEYS[1], entry("c"))]
    await store.write(partial(ehr_resources.remember, noted=noted, now=2))
    held = await store.read(partial(ehr_resources.get_all, keys=KEYS))
    assert held == {KEYS[2]: entry("a"), KEYS[1]: entry("c")}
