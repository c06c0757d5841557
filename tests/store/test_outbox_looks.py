"""What is asked of all kinds of work at once is what each kind has."""

from __future__ import annotations

from functools import partial

from gateway.records.receiver import Pause
from gateway.records.work import delivery_to, links_at
from gateway.store import Store, outbox_looks, pauses
from gateway.store.outbox_looks import Look
from tests.store.work import KIND, LEASE, SECOND, adding, claiming

NOW = 1_900_000_000_000_000
LATER, LEASED, PAUSED, NOTHING = (delivery_to(name) for name in ("later", "leased", "paused", "nothing"))


async def test_each_kind_has_its_own_answer_at_its_own_time(store: Store) -> None:
    questions = [(kind, NOW) for kind in (KIND, LATER, LEASED, PAUSED, links_at("paused"), NOTHING)]
    questions.append((LATER, NOW + SECOND))
    look = partial(outbox_looks.looks, questions=questions)
    assert await store.read(look) == dict.fromkeys(questions, Look(has_due=False)), "nothing waits"
    await store.write(adding("a", due_at=NOW, now=NOW))
    await store.write(adding("a", due_at=NOW + SECOND, now=NOW, kind=LATER))
    await store.write(adding("a", due_at=NOW, now=NOW, kind=LEASED))
    await store.write(claiming(NOW, kind=LEASED))
    for kind in (PAUSED, links_at("paused")):
        await store.write(adding("a", due_at=NOW, now=NOW, kind=kind))
    await store.write(partial(pauses.begin, wanted=[Pause("paused", NOW, "night", "upgrade")]))
    nothing = Look(has_due=False)
    expected = [Look(True), Look(False, NOW + SECOND), Look(False, NOW + LEASE), nothing, nothing, nothing, Look(True)]
    assert await store.read(look) == dict(zip(questions, expected, strict=True))
