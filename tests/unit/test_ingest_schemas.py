"""The JSON Schemas: committed as generated, sound, and in agreement with what the edge takes."""

import json
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from services.ingest.check_event import check_event
from services.ingest.main import cli
from shared.access import AccessKey
from shared.events import schemas
from shared.events.catalogue import EVENT_TYPES
from shared.events.envelope import EventMessage, event_identity
from shared.events.household_event import SourceClass
from tests.fakes.ingest_edge import NOW, SCOPES, make_event

KEY = AccessKey(key_id="k", secret_sha256=b"", name="n", scopes=SCOPES["all"], created_at=NOW)


def test_the_committed_schemas_are_what_the_models_say() -> None:
    assert schemas.drift() == [], "run `shouwang-ingest schemas`"


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_a_types_schema_is_sound_and_takes_its_example(name: str) -> None:
    schema = schemas.event_schema(EVENT_TYPES[name])
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:shouwang:schema:{name}:v1"
    [example] = schema["examples"]
    jsonschema.Draft202012Validator(schema).validate(example)
    assert check_event(example, KEY, NOW).event_type == name


@pytest.mark.parametrize(
    "changes",
    [
        {"division": "1"},
        {"subject": "a b"},
        {"recordedat": "2026-01-01T00:00:00Z"},
        {"keyid": "k"},
        {"grade": "red"},
        {"type": "cn.shouwang.health.disability.v1"},
        {"sourceclass": "neighbour"},
        {"data": {"self_pay_yuan": -1}},
        {"data": {"self_pay_yuan": None}},
        {"data": {"unknown": 1}},
        {"data": ...},
    ],
)
def test_a_schema_refuses_what_the_edge_refuses(changes: dict[str, object]) -> None:
    schema = schemas.event_schema(EVENT_TYPES["health.major_illness"])
    assert not jsonschema.Draft202012Validator(schema).is_valid(make_event(**changes))


def test_a_household_is_not_among_the_speakers_of_a_verification() -> None:
    speakers = schemas.event_schema(EVENT_TYPES["event.verified"])["properties"]["sourceclass"]["enum"]
    assert set(SourceClass) - set(speakers) == {SourceClass.SELF}


def test_the_envelope_describes_the_event_on_the_log() -> None:
    on_the_log = EventMessage.model_validate(make_event()).received(NOW, "k")
    jsonschema.Draft202012Validator(schemas.envelope_schema()).validate(json.loads(on_the_log.to_bytes()))


def test_drift_is_found_and_mended(tmp_path: Path) -> None:
    schemas.write_schemas(tmp_path)
    assert schemas.drift(tmp_path) == []
    (tmp_path / "envelope.v1.json").write_text("{}")
    (tmp_path / "health.gone.v1.json").write_text("{}")
    assert schemas.write_schemas(tmp_path) == ["envelope.v1.json", "health.gone.v1.json"]
    assert schemas.drift(tmp_path) == []


def test_the_check_command_says_which_file_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CliRunner().invoke(cli, ["schemas", "--check"]).exit_code == 0
    monkeypatch.setattr("services.ingest.main.drift", lambda: ["envelope.v1.json"])
    differs = CliRunner().invoke(cli, ["schemas", "--check"])
    assert differs.exit_code == 1
    assert "envelope.v1.json" in differs.output


def test_an_event_is_known_by_sixteen_bytes_of_source_and_id() -> None:
    assert len(event_identity("urn:a", "1")) == 16
    assert event_identity("urn:a", "b") != event_identity("urn:ab", "")
