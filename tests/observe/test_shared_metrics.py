"""The metrics of several processes on one page."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from gateway.observe import metrics
from gateway.observe.shared_metrics import together


def test_counters_stand_by_process_and_the_outbox_once() -> None:
    metrics.MESSAGES.labels("shared", "AA").inc(3)
    own, other = metrics.render([("settle", "pending", 4)]), metrics.render([("settle", "pending", 9)])
    page = together({1: other, 2: own}, asked=2).decode()
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    for number in ("1", "2"):
        counted = (("ack", "AA"), ("listener", "shared"), ("process", number))
        assert samples["gateway_hl7_messages_total", counted] == 3
    waiting = {key: value for key, value in samples.items() if key[0] == "gateway_outbox_rows"}
    assert waiting == {("gateway_outbox_rows", (("kind", "settle"), ("state", "pending"))): 4}
    assert page.count("# TYPE gateway_hl7_messages_total counter") == 1
