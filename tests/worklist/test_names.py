from __future__ import annotations

import pytest

from gateway.records.lookup import NamePrefixes
from gateway.worklist.names import prefixes_of


@pytest.mark.parametrize(
    ("text", "name", "given"),
    [
        ("Müs", ("mus",), ("mus",)),
        ("Muster, Erika", ("muster^erika",), ()),
        ("MUSTER^E", ("muster^e",), ()),
        ("^erika", (), ("erika",)),
        ("^", (), ()),
        ("  ", (), ()),
        ("jo smith", ("jo smith", "jo^smith", "smith^jo"), ("jo smith",)),
        ("van der Berg", ("van der berg", "van^der berg", "der berg^van", "van der^berg", "berg^van der"),
         ("van der berg",)),
        ("a b c d e", ("a b c d e",), ("a b c d e",)),
    ],
)  # fmt: skip
def test_how_a_name_may_be_meant(text: str, name: tuple[str, ...], given: tuple[str, ...]) -> None:
    assert prefixes_of(text) == NamePrefixes(name, given)
