"""The scheduled step that a person names: by order and step ID, as far as they are needed to tell it from others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.errors import Conflict, UnknownKey
from gateway.records.performed_matching import Candidate


def meant(steps: Sequence[Candidate], step_id: str) -> Candidate:
    """The only one of the steps that fits. `step_id`: empty for any.

    Raises `UnknownKey` when there is none, `Conflict` with what would tell them apart when there are several.
    """
    if not steps:
        raise UnknownKey("there is no such order with a scheduled step", place="order")
    fitting = [one for one in steps if step_id in ("", one.step_id)]
    if not fitting:
        raise UnknownKey(f"there is no such step; the steps are {_listed(one.step_id for one in steps)}", place="step")
    if len(orders := dict.fromkeys(one.order for one in fitting)) > 1:
        raise Conflict(f"several orders fit; name the order: {_listed(orders)}", place="order")
    if len(fitting) > 1:
        raise Conflict(f"several steps fit; name the step: {_listed(one.step_id for one in fitting)}", place="step")
    return fitting[0]


def _listed(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))
