"""Runs the tests that THREAT_MODEL.md names, and prints each row of its table with what came of them: `make threats`.

Exit code 1 when a test failed, was skipped or is not there.
"""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as Xml
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
ROWS = re.compile(r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
NAMED = re.compile(r"tests/[a-z0-9_/]+\.py(?:::[a-z_0-9]+)?")


def rows() -> list[tuple[str, list[str]]]:
    """Each threat with the tests that show its protection."""
    table = (ROOT / "THREAT_MODEL.md").read_text(encoding="utf-8").partition("## What is refused")[2]
    return [(threat, tests) for threat, shown in ROWS.findall(table) if (tests := NAMED.findall(shown))]


def outcomes(tests: Sequence[str], arguments: Sequence[str]) -> dict[str, list[str]]:
    """`file::function` -> what came of each of its cases."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments, *tests]
        subprocess.run(command, cwd=ROOT, check=False)
        cases = Xml.parse(report).iter("testcase") if report.exists() else ()
        came: dict[str, list[str]] = {}
        for case in cases:
            # The class of a test in a class stands behind the module.
            module, function = case.get("classname", ""), case.get("name", "").partition("[")[0]
            parts = module.split(".")
            while parts and not (ROOT / "/".join(parts)).with_suffix(".py").exists():
                parts.pop()
            failed = {one.tag for one in case} & {"failure", "error", "skipped"}
            came.setdefault(f"{'/'.join(parts)}.py::{function}", []).append(next(iter(failed), "passed"))
        return came


def verdict(test: str, came: Mapping[str, Sequence[str]]) -> str:
    """What came of a test, or of all tests of a file."""
    results = [one for name, some in came.items() if name == test or name.startswith(f"{test}::") for one in some]
    if not results:
        return "is not there"
    wrong = [one for one in results if one != "passed"]
    return f"{len(wrong)} of {len(results)} {wrong[0]}" if wrong else f"{len(results)} passed"


def lines(table: Sequence[tuple[str, Sequence[str]]], came: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for threat, tests in table:
        yield threat
        yield from (f"  -> {verdict(test, came):12} {test}" for test in tests)


def main() -> int:
    table = rows()
    tests = sorted({test for _, some in table for test in some})
    came = outcomes(tests, sys.argv[1:])
    print("\n".join(lines(table, came)))
    wrong = [test for test in tests if not verdict(test, came).endswith(" passed") or " of " in verdict(test, came)]
    print(f"{len(table)} rows, {len(tests)} tests, {len(wrong)} of them not shown")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
