"""Alert rules and the board: every metric and label that they name is the gateway's, and Prometheus reads them.

What promtool checks is skipped without it (the Debian package prometheus has it).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from gateway.observe import metrics

ROOT = Path(__file__).parents[2]
RULES = ROOT / "docker/prometheus/alerts.yaml"
STORIES = RULES.with_name("alerts_test.yaml")
BOARD: dict[str, Any] = json.loads((ROOT / "docker/grafana/gateway.json").read_text(encoding="utf-8"))
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]
OF_PROMETHEUS = {"up": {"job", "instance"}, "process_cpu_seconds_total": {"job", "instance"},
                 "process_resident_memory_bytes": {"job", "instance"}}  # fmt: skip
"""What Prometheus or its client adds."""
SELECTOR = re.compile(r"\b((?:gateway|process)_\w+|up)\b(?:\{([^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def exposed() -> dict[str, set[str]]:
    """Name of each series that `/metrics` may have -> its labels."""
    named = dict(OF_PROMETHEUS)
    for one in vars(metrics).values():
        if not isinstance(one, Counter | Gauge | Histogram):
            continue
        labels = {*one._labelnames, "instance", "job"}
        match one._type:
            case "counter":
                named[f"{one._name}_total"] = labels
            case "histogram":
                named |= {f"{one._name}_{part}": labels | {"le"} for part in ("bucket", "sum", "count")}
            case _:
                named[one._name] = labels
    return named


def strangers(expression: str) -> Iterator[str]:
    """Metrics, and labels of selectors, that no scrape would hold."""
    known = exposed()
    for name, labels in SELECTOR.findall(expression):
        if name not in known:
            yield name
        else:
            yield from (f"{name}: {label}" for label in LABEL.findall(labels) if label not in known[name])


def run(*arguments: str | Path, folder: Path = RULES.parent) -> None:
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("expression", [*(alert["expr"] for alert in ALERTS), *EXPRESSIONS])
def test_every_metric_and_label_is_exposed(expression: str) -> None:
    assert list(strangers(expression)) == []


def test_a_metric_and_a_label_that_nothing_exposes_are_named() -> None:
    assert list(strangers('gateway_none > 0 or gateway_stores_total{state="x", status!="0000"}')) == [
        "gateway_none", "gateway_stores_total: state",
    ]  # fmt: skip


def test_texts_of_alerts_name_labels_that_their_series_have() -> None:
    for alert in ALERTS:
        named = set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"]))
        series = [exposed()[name] for name, _ in SELECTOR.findall(alert["expr"]) if name in exposed()]
        assert named <= set().union(*series), alert["alert"]
        assert alert["labels"]["severity"] in ("page", "ticket")


def test_each_alert_has_a_story_in_which_it_fires_and_is_explained() -> None:
    stories = yaml.safe_load(STORIES.read_text(encoding="utf-8"))["tests"]
    fired = {one["alertname"] for story in stories for one in story["alert_rule_test"] if one.get("exp_alerts")}
    assert {alert["alert"] for alert in ALERTS} == fired
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert {alert["alert"] for alert in ALERTS} == set(re.findall(r"^\| `(Gateway\w+)`", text, re.MULTILINE))


@promtool
def test_prometheus_takes_the_rules_and_the_stories_come_true() -> None:
    run("check", "rules", RULES)
    run("test", "rules", STORIES)
    run("check", "config", RULES.with_name("prometheus.yaml"))


@promtool
def test_prometheus_reads_every_query_of_the_board(tmp_path: Path) -> None:
    rules = [
        {"record": f"board:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(EXPRESSIONS)
    ]
    (tmp_path / "board.yaml").write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
    run("check", "rules", "board.yaml", folder=tmp_path)


def test_panels_have_ids_and_places_of_their_own() -> None:
    panels = BOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    names = {one["name"] for one in BOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(PANELS)))
    assert used <= names
