"""The protocol machine against PS3.8 Table 9-10: every state and event."""

from __future__ import annotations

import pytest
from pynetdicom.fsm import ACTIONS as THEIR_ACTIONS
from pynetdicom.fsm import TRANSITION_TABLE

from gateway.wire.dimse.upper_layer import ACTIONS, TABLE, Effect, Event, State, transition

# Columns as in the standard; a blank is `-`. Evt12 in Sta7 is the acceptor's: a requestor goes to Sta9.
STANDARD = """
      Sta1    Sta2    Sta3    Sta4    Sta5    Sta6    Sta7    Sta8    Sta9    Sta10   Sta11   Sta12   Sta13
Evt1  AE-1/4  -       -       -       -       -       -       -       -       -       -       -       -
Evt2  -       -       -       AE-2/5  -       -       -       -       -       -       -       -       -
Evt3  -       AA-1/13 AA-8/13 -       AE-3/6  AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-6/13
Evt4  -       AA-1/13 AA-8/13 -       AE-4/1  AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-6/13
Evt5  AE-5/2  -       -       -       -       -       -       -       -       -       -       -       -
Evt6  -       AE-6/3  AA-8/13 -       AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-7/13
Evt7  -       -       AE-7/6  -       -       -       -       -       -       -       -       -       -
Evt8  -       -       AE-8/13 -       -       -       -       -       -       -       -       -       -
Evt9  -       -       -       -       -       DT-1/6  -       AR-7/8  -       -       -       -       -
Evt10 -       AA-1/13 AA-8/13 -       AA-8/13 DT-2/6  AR-6/7  AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-6/13
Evt11 -       -       -       -       -       AR-1/7  -       -       -       -       -       -       -
Evt12 -       AA-1/13 AA-8/13 -       AA-8/13 AR-2/8  AR-8/10 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-6/13
Evt13 -       AA-1/13 AA-8/13 -       AA-8/13 AA-8/13 AR-3/1  AA-8/13 AA-8/13 AR-10/12 AR-3/1  AA-8/13 AA-6/13
Evt14 -       -       -       -       -       -       -       AR-4/13 AR-9/11 -       -       AR-4/13 -
Evt15 -       -       AA-1/13 AA-2/1  AA-1/13 AA-1/13 AA-1/13 AA-1/13 AA-1/13 AA-1/13 AA-1/13 AA-1/13 -
Evt16 -       AA-2/1  AA-3/1  -       AA-3/1  AA-3/1  AA-3/1  AA-3/1  AA-3/1  AA-3/1  AA-3/1  AA-3/1  AA-2/1
Evt17 -       AA-5/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AR-5/1
Evt18 -       AA-2/1  -       -       -       -       -       -       -       -       -       -       AA-2/1
Evt19 -       AA-1/13 AA-8/13 -       AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-7/13
"""


def standard() -> dict[tuple[State, Event], tuple[str, State] | None]:
    head, *rows = [line.split() for line in STANDARD.strip().splitlines()]
    found: dict[tuple[State, Event], tuple[str, State] | None] = {}
    for event, *cells in rows:
        for state, cell in zip(head, cells, strict=True):
            action, _, following = cell.partition("/")
            pair = State[state.upper()], Event[event.upper()]
            found[pair] = (action, State[f"STA{following}"]) if following else None
    return found


def test_the_page_of_the_standard_names_every_pair() -> None:
    assert set(standard()) == {(state, event) for state in State for event in Event}


@pytest.mark.parametrize("pair", [(state, event) for state in State for event in Event], ids=lambda pair: str(pair))
def test_each_pair(pair: tuple[State, Event]) -> None:
    wanted = standard()[pair]
    assert TABLE.get(pair) == wanted
    # What the standard leaves blank ends the association with an A-ABORT of the service-provider.
    assert transition(*pair) == (wanted or ("AA-8", State.STA13))


def test_pynetdicom_has_the_same_table() -> None:
    ours = {(event.name.title(), state.name.title()): action for (state, event), (action, _) in TABLE.items()}
    known = {state.name.title() for state in State}, {event.name.title() for event in Event}
    theirs = {pair: action for pair, action in TRANSITION_TABLE.items() if pair[1] in known[0] and pair[0] in known[1]}
    # AR-8 in Sta7 leads an acceptor to Sta10 and a requestor to Sta9: one action all the same.
    assert ours == theirs


def test_every_action_is_said_and_used() -> None:
    assert {action for action, _ in TABLE.values()} == set(ACTIONS)
    assert set(ACTIONS) <= set(THEIR_ACTIONS)
    assert {effect for effects in ACTIONS.values() for effect in effects} == set(Effect)


def test_whoever_is_sent_an_abort_is_given_time_to_close() -> None:
    for action in ("AA-1", "AA-8", "AE-8", "AR-4"):
        assert Effect.START_ARTIM in ACTIONS[action]
