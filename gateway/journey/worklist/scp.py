"""The worklist over DIMSE: C-FIND of the Modality Worklist (PS3.4 Annex K)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from gateway.errors import InvalidValue, TooLarge, Unavailable
from gateway.journey.worklist.query import Query
from gateway.journey.worklist.station import Worklist
from gateway.records.row_ids import StepRow
from gateway.wire.dimse import EncodedMatch, ExplainedFailure, FindRequest, Pending, statuses
from gateway.wire.dimse.transfer_syntax import is_explicit, recoded
from gateway.worklist.answering import answers_to
from gateway.worklist.items import Item, Stored, of_identifier
from gateway.worklist.scanner_rules import Form


class WorklistScp:
    """Answers C-FIND; `find` is what the DIMSE server calls."""

    def __init__(self, worklist: Worklist) -> None:
        self._worklist = worklist

    async def find(self, request: FindRequest) -> AsyncIterator[EncodedMatch]:
        """One answer per matching step, with the requested attributes and no others.

        Raises `ExplainedFailure`: after as many answers as the limit with `TooLarge`; for a value that is no date, time
        or range with `InvalidValue`; without a database with `Unavailable`.
        """
        started = self._worklist.now()
        caller = request.caller
        query = Query(
            caller.calling_ae, caller.address, of_identifier(request.identifier), request.fuzzy, request.data,
            request.transfer_syntax_uid,
        )  # fmt: skip
        answered: list[StepRow] = []
        status = statuses.CANCEL
        try:
            matches = await self._worklist.matches(query, lambda form: _writer(query.keys, request, form))
            pending = self._pending(query.keys)
            for step, encoded in matches.answers:
                answered.append(step)
                yield EncodedMatch(encoded, pending)
            if matches.remaining:
                raise TooLarge(f"more than {len(answered)} steps match; narrow the query")
            status = statuses.SUCCESS
        except Exception as failure:
            status = statuses.status_of(failure, statuses.FIND_STATUSES)
            if isinstance(failure, InvalidValue | TooLarge | Unavailable):
                raise ExplainedFailure(failure) from failure
            raise
        finally:
            self._worklist.note(query, answered, status, started=started)

    def _pending(self, identifier: Item) -> Pending:
        known = self._worklist.known
        return Pending.ALL_KEYS if known is None or _tags(identifier) <= known else Pending.SOME_KEYS


def _writer(identifier: Item, request: FindRequest, form: Form) -> Callable[[Stored], bytes]:
    syntax, sets = request.transfer_syntax_uid, form.character_sets
    answers = answers_to(identifier, is_explicit(syntax), character_sets=sets, never=form.never, always=form.always)
    return lambda item: recoded(answers.encode(item), syntax)


def _tags(identifier: Item) -> frozenset[int]:
    inner = (one for element in identifier.values() for one in element.items[:1])
    return frozenset(identifier).union(*map(frozenset, inner))
