"""`python -m bench`: run all, or those that are named; print tables. `python -m bench s1 --messages 4000`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import (
    arrival,
    associations,
    console,
    databases,
    deliveries,
    faults,
    intake,
    latency,
    neighbours,
    night,
    performed_steps,
    processes,
    retention,
    sizes,
    soak,
    sources,
    statuses,
    stow,
    study,
    turnaround,
    worklist,
)
from bench.figures import Report, Target, machine, rendered, verdicts


def _databases(given: argparse.Namespace) -> list[str]:
    return list(dict.fromkeys(databases.NAMES[one] for one in given.databases))


ALL: dict[str, tuple[str, Callable[[argparse.Namespace], Report]]] = {
    "s1": (
        "order intake over MLLP, beside python-hl7 and hl7apy",
        lambda given: intake.run(messages=given.messages, rounds=given.rounds),
    ),
    "neighbours": (
        "orders and queries beside peers that misbehave",
        lambda given: neighbours.run(messages=given.messages, rounds=given.rounds),
    ),
    "sources": (
        "an archive that is asked for 100,000 studies by QIDO-RS",
        lambda given: sources.run(
            listed=given.listed, read=given.read, per_study=given.per_study, databases=_databases(given)
        ),
    ),
    "soak": (
        "memory over many orders",
        lambda given: soak.run(orders=given.soak),
    ),
    "s2": (
        "worklist query with one match",
        lambda given: worklist.run(
            sizes=given.steps,
            questions=given.questions,
            databases=_databases(given),
            rounds=given.rounds,
        ),
    ),
    "s3": (
        "worklist query with 1,000 matches, beside wlmscpfs, Orthanc and pynetdicom",
        lambda given: associations.many_matches(rounds=given.rounds),
    ),
    "s4": (
        "associations, echoes and idle associations, beside the same",
        lambda given: associations.lives(rounds=given.rounds),
    ),
    "s5": (
        "500 CT instances by storescu, beside storescp and Orthanc",
        lambda given: arrival.run(instances=500, rounds=given.rounds, beside=given.beside),
    ),
    "stow": (
        "500 CT instances by STOW-RS, beside Orthanc's plugin",
        lambda given: stow.rates(instances=500, rounds=given.rounds),
    ),
    "stow-memory": (
        "memory while very many instances come by STOW-RS, and a very large one",
        lambda given: stow.memory(instances=given.stored, gigabytes=given.object_gb),
    ),
    "s6": (
        "a settled study to the wire",
        lambda given: study.run(sizes=given.instances, rounds=given.rounds),
    ),
    "s7": (
        "deliveries to an EHR that answers at once",
        lambda given: deliveries.run(count=given.waiting, rounds=given.rounds, sizes=given.sizes),
    ),
    "faults": (
        "growing studies to an EHR behind a proxy that loses answers, by each way of writing",
        lambda given: faults.run(count=given.growing, cases=given.writes),
    ),
    "night": (
        "everything fails once under mixed load, on PostgreSQL and SQLite",
        lambda given: night.run(minutes=given.minutes, databases=given.nights, folder=given.folder, rate=given.rate),
    ),
    "console": (
        "pages over a million orders",
        lambda given: console.pages(
            size=given.book,
            questions=given.questions,
            databases=_databases(given),
        ),
    ),
    "turnaround": (
        "the page Figures and an export over a million orders with their examinations",
        lambda given: turnaround.run(
            size=given.book,
            questions=given.questions,
            databases=_databases(given),
            form="parquet",
        ),
    ),
    "browsers": (
        "browsers that watch the first page",
        lambda given: console.browsers(messages=given.messages, rounds=given.rounds),
    ),
    "retention": (
        "a large database that is shortened by age while orders arrive",
        lambda given: retention.run(
            messages=given.old_messages,
            studies=given.old_studies,
            databases=_databases(given),
            load=given.messages,
            rounds=given.rounds,
        ),
    ),
    "sizes": (
        "each kind of question and of arrival over sites of ten thousand to ten million messages",
        lambda given: sizes.run(
            sizes=given.site_messages, databases=_databases(given), questions=min(given.questions, MOST_QUESTIONS)
        ),
    ),
    "s8": (
        "order to worklist, study to EHR",
        lambda given: latency.run(orders=given.orders, studies=given.studies),
    ),
    "s9": (
        "performed steps of 8 modalities, over MPPS",
        lambda given: performed_steps.run(pairs=given.pairs, rounds=given.rounds),
    ),
    "processes": (
        "orders, associations and deliveries with one process and with several, on PostgreSQL",
        lambda given: processes.run(
            messages=given.messages, waiting=given.waiting, rounds=given.rounds, numbers=given.processes
        ),
    ),
    "s10": (
        "statuses to a RIS that answers at once",
        lambda given: statuses.run(count=given.statuses, rounds=given.rounds),
    ),
}
ONLY_WHEN_NAMED = ("night", "console", "turnaround", "retention", "sizes", "stow-memory")
MOST_QUESTIONS = 50
"""Of each of the hundred kinds of `sizes`."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog="; ".join(f"{name}: {what}" for name, (what, _) in ALL.items()),
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(ALL)}; none: all")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of s1 to s7, s9, s10 (default %(default)s)")
    parser.add_argument("--messages", type=int, default=600, help="s1: orders in a round (default %(default)s)")
    parser.add_argument(
        "--steps", type=int, nargs="+", default=[1_000, 100_000], help="s2: sizes of the order book, the smallest first"
    )
    parser.add_argument(
        "--databases",
        nargs="+",
        type=str.lower,
        choices=databases.NAMES,
        default=["sqlite"],
        help="s2, console, turnaround, sources, sizes (default sqlite)",
    )
    parser.add_argument("--book", type=int, default=1_000_000, help="console, turnaround: steps (default %(default)s)")
    parser.add_argument(
        "--questions", type=int, default=200, help="s2, console, turnaround: of each kind (default %(default)s)"
    )
    parser.add_argument(
        "--site-messages", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000],
        help="sizes: messages of each site, the smallest first",
    )  # fmt: skip
    parser.add_argument("--old-messages", type=int, default=1_000_000, help="retention (default %(default)s)")
    parser.add_argument("--old-studies", type=int, default=100_000, help="retention (default %(default)s)")
    parser.add_argument(
        "--instances", type=int, nargs="+", default=[500, 1_000, 5_000], help="s6: sizes of the study, smallest first"
    )
    parser.add_argument("--waiting", type=int, default=2_000, help="s7: studies that wait (default %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[6, 500], help="s7: instances of each study")
    parser.add_argument("--listed", type=int, default=100_000, help="sources: studies (default %(default)s)")
    parser.add_argument("--read", type=int, default=1_000, help="sources: new studies (default %(default)s)")
    parser.add_argument("--per-study", type=int, default=20, help="sources: instances of each (default %(default)s)")
    parser.add_argument("--pairs", type=int, default=4_000, help="s9: examinations (default %(default)s)")
    parser.add_argument("--stored", type=int, default=20_000, help="stow-memory: instances (default %(default)s)")
    parser.add_argument("--object-gb", type=float, default=2.0, help="stow-memory: the large one (default %(default)s)")
    parser.add_argument(
        "--processes", type=int, nargs="+", default=[1, 2], help="processes: how many (default 1 and 2)"
    )
    parser.add_argument("--statuses", type=int, default=4_000, help="s10: that wait (default %(default)s)")
    parser.add_argument("--growing", type=int, default=2_000, help="faults: studies (default %(default)s)")
    parser.add_argument(
        "--writes", nargs="+", choices=faults.CASES, default=list(faults.CASES), help="faults: which (default all)"
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="night: of each (default %(default)s)")
    parser.add_argument("--nights", nargs="+", choices=night.NODES, default=list(night.NODES), help="night: databases")
    parser.add_argument("--rate", type=float, default=2.0, help="night: orders a second (default %(default)s)")
    parser.add_argument("--folder", type=Path, help="night: where logs are kept (default: nowhere)")
    parser.add_argument("--orders", type=int, default=200, help="s8 (default %(default)s)")
    parser.add_argument("--studies", type=int, default=50, help="s8, at most as many as orders (default %(default)s)")
    parser.add_argument("--soak", type=int, default=20_000, help="orders of soak (default %(default)s)")
    parser.add_argument("--beside", type=Path, metavar="CLONE", help="s5: another build, with its .venv, in turns")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="profile the gateway under s1's load instead")
    given = parser.parse_args()
    if unknown := set(given.names) - set(ALL):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    return given


def main() -> None:
    given = arguments()
    begun = time.monotonic()
    print(rendered(machine()), end="\n\n")
    if given.profile:
        for table in intake.profile(given.profile, messages=given.messages).tables:
            print(rendered(table), end="\n\n")
        return
    targets: list[Target] = []
    for name in given.names or [name for name in ALL if name not in ONLY_WHEN_NAMED]:
        what, measure = ALL[name]
        print(f"{name}: {what} ...", file=sys.stderr)
        report = measure(given)
        for table in report.tables:
            print(rendered(table), end="\n\n", flush=True)
        targets += report.targets
    print(rendered(verdicts(targets)), end="\n\n")
    print(f"{time.monotonic() - begun:.0f} s in all. Other work on the machine shows in every figure; ratios hold.")


if __name__ == "__main__":
    main()
