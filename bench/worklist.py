"""S2: a worklist query with one match, in a small and in a large order book, less the C-ECHO beside it.

The same books answer a query that 1,000 steps match, S3's, so that they are filled but once.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count, repeat

from pydicom import Dataset

from bench import gateway_process, order_book, web_client
from bench.databases import empty_database
from bench.dicom_client import Association, encoded
from bench.figures import Report, Table, Target, at_most, milliseconds, percentile

MANY_DAYS = 5
MANY = MANY_DAYS * order_book.COMMON_A_DAY
"""What a query by date range and modality finds."""
BETWEEN = 20
"""Questions of one kind before the next kind's turn."""
STRIDE = 7919
"""From one step to the next of those that are asked for once; prime, so that all have their turn."""
ECHO = "C-ECHO"
DIMSE, WEB = "C-FIND", "over the web"
Book = tuple[str, int]
"""Database and number of steps."""
RETURNED = (
    "AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "RequestedProcedureDescription", "RequestedProcedureID",
)  # fmt: skip
RETURNED_OF_STEP = (
    "Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime",
    "ScheduledProcedureStepDescription", "ScheduledProcedureStepID",
)  # fmt: skip


def run(*, sizes: Sequence[int], questions: int, databases: Sequence[str], rounds: int) -> Report:
    """`questions` of each kind in each order book, with as many echoes; the kinds and books take turns.

    Then `rounds` of S3's query in each book.
    """
    with ExitStack() as stack:
        associations: dict[Book, Association] = {}
        searches: dict[Book, web_client.Searches] = {}
        fills: dict[Book, float] = {}
        for database in databases:
            for size in sizes:
                folder, url = empty_database(stack, database, "s2")
                fills[database, size] = order_book.filled(url, size)
                gateway = stack.enter_context(gateway_process.running(folder, gateway_process.settings(url)))
                associations[database, size] = stack.enter_context(Association(gateway.dicom_port))
                searches[database, size] = stack.enter_context(web_client.connected(gateway.http_port))
        taken = _one_match(associations, questions)
        many = _many_matches(associations, searches, rounds)
    single, targets = _report(taken, sizes, databases)
    return Report([single, _report_of_many(many, fills, sizes[0])], targets)


def asked_for(step: Mapping[str, str] | None = None, **keys: str) -> Dataset:
    """What a modality asks with: keys to match, the rest to be returned."""
    inner = Dataset()
    for keyword in RETURNED_OF_STEP:
        setattr(inner, keyword, (step or {}).get(keyword, ""))
    identifier = Dataset()
    identifier.SpecificCharacterSet = "ISO_IR 192"
    for keyword in RETURNED:
        setattr(identifier, keyword, keys.get(keyword, ""))
    identifier.ScheduledProcedureStepSequence = [inner]
    return identifier


def many_of(size: int) -> tuple[range, bytes]:
    """Steps of `MANY_DAYS` whole days amid a book, and the identifier that finds its `MANY` common ones."""
    numbers, between = _many(size)
    return numbers, _asked_for_days(between)


def many_more(size: int) -> Iterator[bytes]:
    """Identifiers that each find `MANY` steps which those before do not, from the begin of a book to its end."""
    for first in range(0, order_book.days(size) - MANY_DAYS + 1, MANY_DAYS):
        yield _asked_for_days(_days_from(first * order_book.A_DAY)[1])


def _many(size: int) -> tuple[range, str]:
    """Those steps, and their days as a range."""
    last_start = (order_book.days(size) - MANY_DAYS) * order_book.A_DAY
    return _days_from(min(order_book.middle(size), last_start))


def _days_from(first: int) -> tuple[range, str]:
    numbers = range(first, first + MANY_DAYS * order_book.A_DAY)
    return numbers, f"{order_book.day(numbers[0])}-{order_book.day(numbers[-1])}"


def _asked_for_days(between: str) -> bytes:
    return encoded(asked_for({"ScheduledProcedureStepStartDate": between, "Modality": order_book.COMMON}))


def _one_match(associations: Mapping[Book, Association], questions: int) -> dict[tuple[Book, str], list[float]]:
    """(book, kind) -> seconds of each question."""
    taken: dict[tuple[Book, str], list[float]] = {}
    kinds = {book: _questions(book[1]) for book in associations}
    for _ in range(-(-questions // BETWEEN)):
        for book, association in associations.items():
            for kind, identifiers in kinds[book].items():
                asked = [next(identifiers) for _ in range(BETWEEN)]
                taken.setdefault((book, kind), []).extend(_ask(association, one) for one in asked)
    return taken


def _ask(association: Association, identifier: bytes | None) -> float:
    answer = association.echo() if identifier is None else association.find(identifier)
    if answer.status or (identifier is not None and answer.matches != 1):
        raise RuntimeError(f"answered {answer.status:04X} with {answer.matches} matches")
    return answer.seconds


def _questions(size: int) -> dict[str, Iterator[bytes | None]]:
    """Each finds one step: that in the middle of the book, or one that nobody has asked for before."""
    middle = order_book.middle(size)
    day_and_modality = {"ScheduledProcedureStepStartDate": order_book.day(middle), "Modality": order_book.RARE}
    family_name = order_book.name(middle).split("^")[0]
    steps = order_book.days(size) * order_book.A_DAY
    return {
        ECHO: repeat(None),
        "by accession number": repeat(encoded(asked_for(AccessionNumber=f"A{middle}"))),
        "by accession number, another each time": (
            encoded(asked_for(AccessionNumber=f"A{one * STRIDE % steps}")) for one in count()
        ),
        "by Patient ID": repeat(encoded(asked_for(PatientID=f"P{middle}"))),
        "by day and modality": repeat(encoded(asked_for(day_and_modality))),
        "by patient name": repeat(encoded(asked_for(PatientName=f"{family_name}^*"))),
    }


def _many_matches(
    associations: Mapping[Book, Association], searches: Mapping[Book, web_client.Searches], rounds: int
) -> dict[tuple[Book, str], list[float]]:
    """Seconds of S3's query in each book, by DIMSE and over the web; the first time no item of it has been read."""
    taken: dict[tuple[Book, str], list[float]] = {}
    for _ in range(1 + rounds):
        for book, association in associations.items():
            answer = association.find(many_of(book[1])[1])
            if answer.status or answer.matches != MANY:
                raise RuntimeError(f"answered {answer.status:04X} with {answer.matches} of {MANY} matches")
            taken.setdefault((book, DIMSE), []).append(answer.seconds)
        for book, web in searches.items():
            step = "ScheduledProcedureStepSequence."
            query = f"{step}Modality={order_book.COMMON}&{step}ScheduledProcedureStepStartDate={_many(book[1])[1]}"
            found = web.search(query)
            if found.matches != MANY:
                raise RuntimeError(f"answered {found.matches} of {MANY} matches over the web")
            taken.setdefault((book, WEB), []).append(found.seconds)
    return taken


def _report(
    taken: Mapping[tuple[Book, str], Sequence[float]], sizes: Sequence[int], databases: Sequence[str]
) -> tuple[Table, list[Target]]:
    medians = {key: statistics.median(times) for key, times in taken.items()}
    over = {(book, kind): median - medians[book, ECHO] for (book, kind), median in medians.items()}
    kinds = [kind for kind in _questions(sizes[0]) if kind != ECHO]
    rows, targets = [], []
    for (book, kind), times in taken.items():
        more = "" if kind == ECHO else milliseconds(over[book, kind])
        smallest = over[(book[0], sizes[0]), kind]
        growth = "" if kind == ECHO or book[1] == sizes[0] else f"{over[book, kind] / smallest:.2f}"
        cells = milliseconds(medians[book, kind]), milliseconds(percentile(times, 99)), more, growth
        rows.append((f"{book[0]}, {book[1]:,} steps, {kind}", *cells))
    for database in databases:
        largest, smallest_book = (database, sizes[-1]), (database, sizes[0])
        worst = max(kinds, key=lambda kind: over[largest, kind])
        name = f"S2 query less echo, {database}, {sizes[-1]:,} steps, {worst}"
        targets.append(at_most(name, "ms", 3, over[largest, worst] * 1000))
        if len(sizes) > 1:
            growths = {kind: over[largest, kind] / over[smallest_book, kind] for kind in kinds}
            steepest = max(growths, key=lambda kind: growths[kind])
            name = f"S2 growth, {database}, {sizes[0]:,} -> {sizes[-1]:,} steps, {steepest}"
            targets.append(at_most(name, "x", 1.3, growths[steepest]))
    header = ("S2", "p50 ms", "p99 ms", "p50 less C-ECHO, ms", f"x that of {sizes[0]:,}")
    return Table("S2 Worklist query with one match, on one association", header, rows), targets


def _report_of_many(
    taken: Mapping[tuple[Book, str], Sequence[float]], fills: Mapping[Book, float], smallest: int
) -> Table:
    rates = {key: MANY / statistics.median(times[1:]) for key, times in taken.items()}
    rows = [
        (
            f"{book[0]}, {book[1]:,} steps, {way}", f"{rate:,.0f}",
            f"{rates[(book[0], smallest), way] / rate:.2f}",
            f"{MANY / taken[book, way][0]:,.0f}", f"{fills[book]:.1f}",
        )
        for (book, way), rate in rates.items()
    ]  # fmt: skip
    rounds = len(next(iter(taken.values()))) - 1
    header = ("S3", "responses/s", f"x the time of {smallest:,}", "the first time, responses/s", "s to fill the book")
    title = f"S3 {MANY:,} matches of {MANY_DAYS} days and a modality, in the books of S2, median of {rounds}"
    return Table(title, header, rows)
