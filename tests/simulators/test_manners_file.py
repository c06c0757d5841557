"""An EHR that misbehaves as a file says: every action seen by a plain client, every shipped script by the gateway."""

from __future__ import annotations

import email.utils
import time
from pathlib import Path
from typing import Any, get_args

import aiohttp
import pytest
import yaml

from gateway.config.ehrs import Ehr
from gateway.config.receiver import Retry
from gateway.errors import ConfigError
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.manners_file import SHIPPED, Action, Mood, Rule, Script, Server, load
from tests.journey.running import Start, quiet
from tests.journey.test_study_arrival import sample, send

STUDY: dict[str, Any] = {
    "resourceType": "ImagingStudy",
    "status": "available",
    "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}],
    "subject": {"display": "a made-up person"},
}
CONDITION = "ImagingStudy?identifier=urn:dicom:uid|urn:oid:1.2.3"


def rules(*made: dict[str, Any], **server: Any) -> Script:
    return Script(rules=[Rule(**one) for one in made], server=Server(**server))


class Client:
    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int | None, Any]:
        """(status, body), (None, None) where the connection was closed before the whole answer."""
        sent = {"Content-Type": "application/fhir+json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        self.headers: Any = {}
        try:
            async with self.session.request(method, f"{self.base}/{path}", json=body, headers=sent) as answer:
                self.headers = answer.headers
                if answer.content_type == "text/html":
                    return answer.status, await answer.text()
                return answer.status, await answer.json(content_type=None)
        except aiohttp.ClientError:
            return None, None


async def asked(script: Script, *requests: tuple[Any, ...]) -> tuple[list[tuple[int | None, Any]], EhrSimulator]:
    async with EhrSimulator(script=script) as ehr, aiohttp.ClientSession() as session:
        session._retry_connection = False
        client = Client(session, ehr.url)
        return [await client(*one) for one in requests], ehr


PUT = ("PUT", CONDITION, STUDY)


async def test_an_answer_is_given_as_it_is_told_and_nothing_kept() -> None:
    script = rules(
        {"do": "answer", "status": 422, "code": "value", "text": "no such thing", "times": 1},
        {"do": "answer", "status": 502, "html": True, "times": 1},
    )
    answers, ehr = await asked(script, PUT, PUT, PUT)
    assert [status for status, _ in answers] == [422, 502, 201]
    assert answers[0][1]["issue"][0] == {"severity": "error", "code": "value", "details": {"text": "no such thing"}}
    assert "<html>" in answers[1][1]
    assert len(ehr.resources("ImagingStudy")) == 1


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_has_two_forms(form: str) -> None:
    script = rules({"do": "answer", "status": 503, "retry_after": 30, "retry_after_as": form})
    begun = time.time()
    async with EhrSimulator(script=script) as ehr, aiohttp.ClientSession() as session:
        client = Client(session, ehr.url)
        await client(*PUT)
        written = client.headers["Retry-After"]
    if form == "seconds":
        assert written == "30"
    else:
        # A date has no fractions of a second.
        assert begun + 29 <= email.utils.parsedate_to_datetime(written).timestamp() <= time.time() + 31


@pytest.mark.parametrize(("action", "kept"), [("drop_before", 0), ("drop_after", 1), ("half", 1)])
async def test_connections_are_closed_before_and_after(action: str, kept: int) -> None:
    answers, ehr = await asked(rules({"do": action}), PUT)
    assert answers == [(None, None)]
    assert len(ehr.resources("ImagingStudy")) == kept


@pytest.mark.parametrize("action", ["slow", "slow_body"])
async def test_slow_answers_come_whole(action: str) -> None:
    begun = time.monotonic()
    [(status, resource)], _ = await asked(rules({"do": action, "seconds": 0.3}), PUT)
    assert (status, resource["resourceType"]) == (201, "ImagingStudy")
    assert time.monotonic() - begun >= 0.3


async def test_another_writer_makes_the_same_or_changes_it() -> None:
    script = rules({"do": "race", "method": ["POST"]}, {"do": "change", "method": ["PUT"]})
    answers, ehr = await asked(script, ("POST", "ImagingStudy", STUDY), ("POST", "ImagingStudy", STUDY))
    assert [status for status, _ in answers] == [201, 201]
    assert len(ehr.resources("ImagingStudy")) == 3, "theirs, once, and both of ours"
    assert any("held 3 times" in line for line in ehr.answered())
    answers, ehr = await asked(rules({"do": "change", "after": 1}), PUT, PUT)
    assert ehr.resources("ImagingStudy")[0]["meta"]["versionId"] == "3"


async def test_a_rule_is_for_some_requests_and_some_times() -> None:
    mood = Mood(rules(
        {"do": "drop_before", "method": ["PUT"], "path": "ImagingStudy", "after": 1, "times": 2},
        {"do": "slow", "seconds": 1, "path": "metadata"},
    ))  # fmt: skip
    met = [
        mood.rule(*one)
        for one in [
            ("GET", "ImagingStudy"), ("PUT", "Patient"), ("PUT", "ImagingStudy/1"), ("PUT", "ImagingStudy/1"),
            ("GET", "metadata"), ("PUT", "ImagingStudy"), ("PUT", "ImagingStudy"),
        ]
    ]  # fmt: skip
    assert [one.do if one else None for one in met] == [None, None, None, "drop_before", "slow", "drop_before", None]


def test_the_same_seed_meets_the_same_rules() -> None:
    def drawn(seed: int) -> list[bool]:
        mood = Mood(Script(seed=seed, rules=[Rule(do="drop_before", share=0.3)]))
        return [mood.rule("PUT", "x") is not None for _ in range(1000)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 200 < sum(drawn(1)) < 400


async def test_a_server_that_serves_less_says_so_and_refuses() -> None:
    requests = [
        ("GET", "metadata"), PUT, ("POST", "ImagingStudy", STUDY), ("PUT", "ImagingStudy/x", {**STUDY, "id": "x"}),
    ]  # fmt: skip
    answers, _ = await asked(rules(conditional="refused", update_create=False), *requests)
    assert [status for status, _ in answers] == [200, 501, 201, 405]
    said = answers[0][1]["rest"][0]["resource"][0]
    assert (said["conditionalCreate"], said["conditionalUpdate"], said["updateCreate"]) == (False, False, False)
    async with EhrSimulator(script=rules(conditional="ignored")) as ehr, aiohttp.ClientSession() as session:
        for _ in range(2):
            client = Client(session, ehr.url)
            await client("POST", "ImagingStudy", STUDY, If_None_Exist="identifier=urn:dicom:uid|urn:oid:1.2.3")
        assert len(ehr.resources("ImagingStudy")) == 2


async def test_tokens_end_and_bodies_are_too_long() -> None:
    async with EhrSimulator(script=rules(token_requests=2)) as ehr, aiohttp.ClientSession() as session:
        client = Client(session, ehr.url)
        given = [(await client("GET", "metadata", Authorization=f"Bearer {one}"))[0] for one in "aaabb"]
    assert given == [200, 200, 401, 200, 200]
    answers, _ = await asked(rules(max_body_bytes=1000), PUT, ("PUT", CONDITION, STUDY | {"description": "x" * 1000}))
    assert [status for status, _ in answers] == [201, 413]


def test_every_fault_of_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    text = """rules:
- do: answer
- {do: drop, share: 0.5}
- do: slow_body
  seconds: 0
  shares: 1
server:
  conditional: no
"""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(str(file))
    faults = sorted(caught.value.faults)
    assert [one.split(":")[1] for one in faults] == ["2", "3", "5", "6", "8"]
    assert "'do: answer' needs status" in faults[0]
    assert "did you mean 'share'?" in faults[3]
    with pytest.raises(ConfigError, match="no such file; scripts that come with the gateway: lossy, plain, proxy"):
        load("nowhere")


def test_the_documentation_tells_of_every_action_and_script(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/manners.md").read_text(encoding="utf-8")
    for action in get_args(Action):
        assert f"| `{action}` |" in page
    for script in SHIPPED.glob("*.yaml"):
        assert f"| `{script.stem}` |" in page
        assert load(script.stem) == load(str(script))
    example = tmp_path / "example.yaml"
    example.write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    assert [one.do for one in load(str(example)).rules] == ["answer", "drop_after"]
    assert Script.model_validate(yaml.safe_load(example.read_text(encoding="utf-8"))) == load(str(example))


def removing(url: str) -> Ehr:
    """An EHR at which a study that another writer made a second time may be removed."""
    return Ehr(name="ehr0", url=url, retry=Retry(first_seconds=0.1, max_seconds=0.5), duplicates="remove")


def hasty(script: Script) -> Script:
    """The same without waiting."""
    changes = [
        {key: short for key, short in (("retry_after", 0), ("seconds", 0.1)) if getattr(rule, key) is not None}
        for rule in script.rules
    ]
    quick = [rule.model_copy(update=change) for rule, change in zip(script.rules, changes, strict=True)]
    return script.model_copy(update={"rules": quick})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["lossy", "plain", "proxy", "race", "storm"])
async def test_the_gateway_brings_every_study_once_through_every_script(start: Start, name: str) -> None:
    async with EhrSimulator(script=hasty(load(name))) as ehr, start(ehrs=[removing(ehr.url)]) as gateway:
        datasets: list[Any] = [sample() for _ in range(3)]
        for number, dataset in enumerate(datasets):
            dataset.StudyInstanceUID = f"2.25.{number}"
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"2.25.{number}.1"
        await send(gateway, *datasets)
        await quiet(gateway)
        for number, dataset in enumerate(datasets):
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"2.25.{number}.2"
        await send(gateway, *datasets)
        await quiet(gateway)
        held = {one["identifier"][0]["value"]: one["numberOfInstances"] for one in ehr.resources("ImagingStudy")}
        assert held == {f"urn:oid:2.25.{number}": 2 for number in range(3)}
        assert len(ehr.resources("ImagingStudy")) == 3
        assert not any("held" in line for line in ehr.answered())
