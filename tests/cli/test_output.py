"""What commands print of what peers have written: a terminal acts on none of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.cli.output import complain, say, say_json, say_lines

HOSTILE = "\x1b[2Jgone\r\n\x9b1mbold\u202eright\u200b\u2028"
HARMLESS = "山田\u3000太郎 Ødegård\xa0"


def test_a_line_stays_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"order {HOSTILE}")
    say_lines([HARMLESS, HOSTILE])
    complain(HOSTILE)
    printed = capsys.readouterr()
    shown = r"\x1b[2Jgone\r\n\x9b1mbold\u202eright\u200b\u2028"
    assert printed.out == f"order {shown}\n{HARMLESS}\n{shown}\n"
    assert printed.err == f"{shown}\n"


def test_json_is_escaped_as_json_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    value: Any = {"name": HOSTILE, HARMLESS: [HOSTILE, "\U000e0001"], "empty": {}}
    say_json(value)
    printed = capsys.readouterr().out
    assert json.loads(printed) == value
    assert HARMLESS in printed
    assert all(line.replace("\u3000", "").replace("\xa0", "").isprintable() for line in printed.splitlines())
