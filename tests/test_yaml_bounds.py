"""YAML files are bounded; the fault names its line. The bounds are held against small files that pass them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import yaml_bounds
from gateway.config.tree import load
from gateway.errors import ConfigError
from gateway.mapping.language.files import compose

DOUBLED = "a: &a [1, 2]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c]\n"
"""A file of a dozen nodes, of which there are three times as many with its aliases written out."""


@pytest.mark.parametrize(
    ("most", "line"),
    [(60, None), (34, 4), (19, 3)],
)
def test_an_alias_counts_as_what_it_stands_for(most: int, line: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_bounds, "MAX_NODES", most)
    if line is None:
        yaml_bounds.check(DOUBLED)
        return
    with pytest.raises(yaml_bounds.BeyondBounds) as caught:
        yaml_bounds.check(DOUBLED)
    assert caught.value.problem_mark is not None
    assert caught.value.problem_mark.line + 1 == line


def test_depth_is_bounded() -> None:
    yaml_bounds.check("[" * 40 + "]" * 40)
    with pytest.raises(yaml_bounds.BeyondBounds, match="nested more than 50 deep"):
        yaml_bounds.check("a: 1\nb: " + "[" * 60)


def test_each_reader_refuses_and_names_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_bounds, "MAX_NODES", 20)
    file = tmp_path / "gateway.yaml"
    file.write_text(DOUBLED, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.faults == [f"{file}:3: holds more than 20 nodes, each alias counted as what it stands for"]
    with pytest.raises(yaml_bounds.BeyondBounds):
        compose(DOUBLED)
