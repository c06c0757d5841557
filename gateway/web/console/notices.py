"""What a page states after one of its buttons was pressed: one text for each key of `Route.notice`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, str]] = {
    "delivery_retried": "The delivery is being tried again now.",
    "cause_retried": "Tried again now: {n}.",
    "put_away": "Put away: {n}.",
    "taken_back": "Calls for a person again: {n}.",
    "messages_applied": "Worked on again and applied: {n}.",
    "messages_failed": "Worked on again; still not applied: {n}.",
    "messages_left": "Worked on again; of this cause there are more, press again.",
    "reloaded": "Mappings, scanners, certificates, tokens and log level are in force as their files have them.",
    "reloaded_in_part": "Reloaded. Keys that have changed and wait for a restart: {n}; the log names them.",
    "reload_failed": "Not reloaded, what was read before is in force. Faults: {n}; the first stands below.",
    "withdrawn": "Withdrawn: the EHRs are notified, nothing is deleted. Deliveries that follow: {n}.",
    "counts": "The study counts again. Deliveries that follow: {n}.",
    "message_replayed": "The message was worked on again: AA.",
    "message_not_applied": "The message was worked on again, and is still not applied.",
    "given_up": "Given up, with the note: {n}.",
    "resent": "Sent once more: {n}.",
    "fed": "Sent once more, at the rate that was given: {n}.",
    "feeding": "Being sent once more in the background, so far {n}.",
    "excluded": "Excluded: the study is sent anew, with {n} instances.",
    "included": "Counts again: the study is sent anew, with {n} instances.",
    "study_released": "Released: the study is delivered as it is. Differences that held it: {n}.",
    "study_linked": "Linked with order {n}; the study is looked at anew.",
    "study_unlinked": "Order {n} is taken away from the study, which is looked at anew.",
    "user_changed": "Changed; the sessions of the user have ended.",
    "user_disabled": "Disabled; the sessions of the user have ended.",
    "token_revoked": "Revoked: the token opens nothing any more.",
    "paused": "Paused: nothing is sent there until it is resumed.",
    "held": "On legal hold: nothing of it is deleted.",
    "released": "Released: retention may delete it again.",
    "resumed": "Resumed: what waited is being sent.",
}
"""Key -> text; `{n}` is the number of things it was done to."""


def notice_of(key: str, number: int) -> str:
    """The text of a notice; empty for a key that is in no table, which anybody can write into an address."""
    return TEXTS.get(key, "").format(n=f"{number:,}")
