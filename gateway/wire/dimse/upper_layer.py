"""The DICOM upper layer protocol machine of acceptors and requestors, as data (PS3.8 9.2, Table 9-10).

States, events and actions carry the numbers and the words of the standard; whoever holds both pages can compare them
line by line. Nothing here touches a socket: `association` and `requestor` carry the effects out.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class _ByIdentity(Enum):
    """Enum's own hash is written in Python, and each PDU needs six."""

    __hash__ = object.__hash__


class State(_ByIdentity):
    """PS3.8 9.2.1. Sta2, Sta3, Sta10 and Sta12 are the acceptor's, Sta4, Sta5, Sta9 and Sta11 the requestor's."""

    STA1 = "Idle"
    STA2 = "Transport connection open (awaiting A-ASSOCIATE-RQ PDU)"
    STA3 = "Awaiting local A-ASSOCIATE response primitive"
    STA4 = "Awaiting transport connection opening to complete"
    STA5 = "Awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ PDU"
    STA6 = "Association established and ready for data transfer"
    STA7 = "Awaiting A-RELEASE-RP PDU"
    STA8 = "Awaiting local A-RELEASE response primitive"
    STA9 = "Release collision requestor side; awaiting A-RELEASE response primitive"
    STA10 = "Release collision acceptor side; awaiting A-RELEASE-RP PDU"
    STA11 = "Release collision requestor side; awaiting A-RELEASE-RP PDU"
    STA12 = "Release collision acceptor side; awaiting A-RELEASE response primitive"
    STA13 = "Awaiting transport connection close indication"


class Event(_ByIdentity):
    """PS3.8 9.2.2."""

    EVT1 = "A-ASSOCIATE request primitive"
    EVT2 = "Transport connection confirmed"
    EVT3 = "A-ASSOCIATE-AC PDU received"
    EVT4 = "A-ASSOCIATE-RJ PDU received"
    EVT5 = "Transport connection indication"
    EVT6 = "A-ASSOCIATE-RQ PDU received"
    EVT7 = "A-ASSOCIATE response primitive (accept)"
    EVT8 = "A-ASSOCIATE response primitive (reject)"
    EVT9 = "P-DATA request primitive"
    EVT10 = "P-DATA-TF PDU received"
    EVT11 = "A-RELEASE request primitive"
    EVT12 = "A-RELEASE-RQ PDU received"
    EVT13 = "A-RELEASE-RP PDU received"
    EVT14 = "A-RELEASE response primitive"
    EVT15 = "A-ABORT request primitive"
    EVT16 = "A-ABORT PDU received"
    EVT17 = "Transport connection closed indication"
    EVT18 = "ARTIM timer expired"
    EVT19 = "Unrecognized or invalid PDU received"


class Effect(_ByIdentity):
    """What an action consists of. `SEND_...` is a PDU; `ISSUE_...` a primitive handed to the service user."""

    OPEN_TRANSPORT = auto()
    SEND_ASSOCIATE_RQ = auto()
    SEND_ASSOCIATE_AC = auto()
    SEND_ASSOCIATE_RJ = auto()
    SEND_P_DATA = auto()
    SEND_RELEASE_RQ = auto()
    SEND_RELEASE_RP = auto()
    SEND_USER_ABORT = auto()
    """Source 0, service-user: the reason is not significant (PS3.8 9.3.8)."""
    SEND_PROVIDER_ABORT = auto()
    """Source 2, service-provider, with the reason."""
    ISSUE_ASSOCIATE = auto()
    ISSUE_ACCEPTANCE = auto()
    ISSUE_REJECTION = auto()
    ISSUE_P_DATA = auto()
    ISSUE_RELEASE = auto()
    ISSUE_RELEASE_CONFIRMATION = auto()
    ISSUE_ABORT = auto()
    ISSUE_P_ABORT = auto()
    START_ARTIM = auto()
    STOP_ARTIM = auto()
    CLOSE = auto()


ACTIONS: Final[Mapping[str, tuple[Effect, ...]]] = {
    "AE-1": (Effect.OPEN_TRANSPORT,),
    "AE-2": (Effect.SEND_ASSOCIATE_RQ,),
    "AE-3": (Effect.ISSUE_ACCEPTANCE,),
    "AE-4": (Effect.ISSUE_REJECTION, Effect.CLOSE),
    "AE-5": (Effect.START_ARTIM,),
    "AE-6": (Effect.STOP_ARTIM, Effect.ISSUE_ASSOCIATE),
    "AE-7": (Effect.SEND_ASSOCIATE_AC,),
    "AE-8": (Effect.SEND_ASSOCIATE_RJ, Effect.START_ARTIM),
    "DT-1": (Effect.SEND_P_DATA,),
    "DT-2": (Effect.ISSUE_P_DATA,),
    "AR-1": (Effect.SEND_RELEASE_RQ,),
    "AR-2": (Effect.ISSUE_RELEASE,),
    "AR-3": (Effect.ISSUE_RELEASE_CONFIRMATION, Effect.CLOSE),
    "AR-4": (Effect.SEND_RELEASE_RP, Effect.START_ARTIM),
    "AR-5": (Effect.STOP_ARTIM,),
    "AR-6": (Effect.ISSUE_P_DATA,),
    "AR-7": (Effect.SEND_P_DATA,),
    "AR-8": (Effect.ISSUE_RELEASE,),
    "AR-9": (Effect.SEND_RELEASE_RP,),
    "AR-10": (Effect.ISSUE_RELEASE_CONFIRMATION,),
    "AA-1": (Effect.SEND_USER_ABORT, Effect.START_ARTIM),
    "AA-2": (Effect.STOP_ARTIM, Effect.CLOSE),
    "AA-3": (Effect.ISSUE_ABORT, Effect.CLOSE),
    "AA-4": (Effect.ISSUE_P_ABORT,),
    "AA-5": (Effect.STOP_ARTIM,),
    "AA-6": (),
    "AA-7": (Effect.SEND_PROVIDER_ABORT,),
    "AA-8": (Effect.SEND_PROVIDER_ABORT, Effect.ISSUE_P_ABORT, Effect.START_ARTIM),
}
"""PS3.8 Tables 9-6 to 9-9. AE-6 has a second half: who is not acceptable to the service-provider gets AE-8 from Sta3,
which leads to the very PDU and state that AE-6 names."""

_S, _E = State, Event
_OPEN: Final = (_S.STA3, _S.STA5, _S.STA6, _S.STA7, _S.STA8, _S.STA9, _S.STA10, _S.STA11, _S.STA12)

TABLE: Final[Mapping[tuple[State, Event], tuple[str, State]]] = {
    (_S.STA1, _E.EVT1): ("AE-1", _S.STA4),
    (_S.STA4, _E.EVT2): ("AE-2", _S.STA5),
    (_S.STA1, _E.EVT5): ("AE-5", _S.STA2),
    (_S.STA2, _E.EVT6): ("AE-6", _S.STA3),
    (_S.STA3, _E.EVT7): ("AE-7", _S.STA6),
    (_S.STA3, _E.EVT8): ("AE-8", _S.STA13),
    (_S.STA6, _E.EVT9): ("DT-1", _S.STA6),
    (_S.STA8, _E.EVT9): ("AR-7", _S.STA8),
    (_S.STA6, _E.EVT11): ("AR-1", _S.STA7),
    (_S.STA8, _E.EVT14): ("AR-4", _S.STA13),
    (_S.STA9, _E.EVT14): ("AR-9", _S.STA11),
    (_S.STA12, _E.EVT14): ("AR-4", _S.STA13),
    # A PDU where it is out of place ends the association ...
    **{(_S.STA2, event): ("AA-1", _S.STA13) for event in (_E.EVT3, _E.EVT4, _E.EVT10, _E.EVT12, _E.EVT13, _E.EVT19)},
    **{
        (state, event): ("AA-8", _S.STA13)
        for state in _OPEN
        for event in (_E.EVT3, _E.EVT4, _E.EVT6, _E.EVT10, _E.EVT12, _E.EVT13, _E.EVT19)
    },
    # ... but for these.
    (_S.STA5, _E.EVT3): ("AE-3", _S.STA6),
    (_S.STA5, _E.EVT4): ("AE-4", _S.STA1),
    (_S.STA6, _E.EVT10): ("DT-2", _S.STA6),
    (_S.STA7, _E.EVT10): ("AR-6", _S.STA7),
    (_S.STA6, _E.EVT12): ("AR-2", _S.STA8),
    (_S.STA7, _E.EVT12): ("AR-8", _S.STA10),
    (_S.STA7, _E.EVT13): ("AR-3", _S.STA1),
    (_S.STA11, _E.EVT13): ("AR-3", _S.STA1),
    (_S.STA10, _E.EVT13): ("AR-10", _S.STA12),
    # The end, from either side.
    (_S.STA4, _E.EVT15): ("AA-2", _S.STA1),
    (_S.STA4, _E.EVT17): ("AA-4", _S.STA1),
    **{(state, _E.EVT15): ("AA-1", _S.STA13) for state in _OPEN},
    (_S.STA2, _E.EVT16): ("AA-2", _S.STA1),
    **{(state, _E.EVT16): ("AA-3", _S.STA1) for state in _OPEN},
    (_S.STA2, _E.EVT17): ("AA-5", _S.STA1),
    **{(state, _E.EVT17): ("AA-4", _S.STA1) for state in _OPEN},
    (_S.STA2, _E.EVT18): ("AA-2", _S.STA1),
    # After an A-ABORT, a rejection or a release nothing is waited for but the end of the connection.
    **{(_S.STA13, event): ("AA-6", _S.STA13) for event in (_E.EVT3, _E.EVT4, _E.EVT10, _E.EVT12, _E.EVT13)},
    (_S.STA13, _E.EVT6): ("AA-7", _S.STA13),
    (_S.STA13, _E.EVT19): ("AA-7", _S.STA13),
    (_S.STA13, _E.EVT16): ("AA-2", _S.STA1),
    (_S.STA13, _E.EVT18): ("AA-2", _S.STA1),
    (_S.STA13, _E.EVT17): ("AR-5", _S.STA1),
}
"""(state, event) -> (action, next state). A pair that is not here cannot come from a peer; see `transition`."""
OF_REQUESTOR: Final[Mapping[tuple[State, Event], tuple[str, State]]] = {(_S.STA7, _E.EVT12): ("AR-8", _S.STA9)}
"""Where AR-8 leads each side to a state of its own."""

IMPOSSIBLE: Final = ("AA-8", State.STA13)


def transition(state: State, event: Event, *, is_requestor: bool = False) -> tuple[str, State]:
    """The action and the next state. A blank of Table 9-10 ends the association: to go on would be guessing."""
    if is_requestor and (state, event) in OF_REQUESTOR:
        return OF_REQUESTOR[state, event]
    return TABLE.get((state, event), IMPOSSIBLE)


class AbortReason(int, Enum):
    """Of an A-ABORT whose source is the service-provider (PS3.8 9.3.8)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER_VALUE = 6
