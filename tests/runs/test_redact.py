"""What people send to each other has no secrets in it, and is otherwise whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.runs.redact import secrets_of, without_secrets


@pytest.mark.parametrize(
    "text",
    [
        "HF_TOKEN=s3cr3t-value",
        "export HF_TOKEN='s3cr3t-value'",
        "COSMOS_NOTIFY_URLS=slack://T1/s3cr3t-value",
        'docker run --env "NGC_API_KEY=s3cr3t-value" image',
        "--api-key s3cr3t-value".replace(" ", "="),
        "password: s3cr3t-value",
        '{"Env": ["MY_SECRET=s3cr3t-value with blanks", "PATH=/bin"]}',
        '{"env": {"DB_PASSWORD": "s3cr3t-value"}}',
        '[{"a": [{"WANDB_API_KEY": "s3cr3t-value"}]}]',
        "Authorization: Bearer s3cr3t-value",
        "postgresql://cosmos:s3cr3t-value@host/db",
        "-----BEGIN OPENSSH PRIVATE KEY-----\ns3cr3t-value\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\ns3cr3t-value and the rest was cut",
    ],
)
def test_a_secret_is_masked_wherever_it_stands(text: str) -> None:
    clean = without_secrets(text)
    assert "s3cr3t" not in clean
    assert "***" in clean


@pytest.mark.parametrize("text", ["hf_abcdefghijklmnop", "nvapi-abc_DEF-1234", "ghp_" + "a1" * 18])
def test_tokens_are_known_by_their_form(text: str) -> None:
    assert without_secrets(f"got {text}, going on") == "got ***, going on"


@pytest.mark.parametrize(
    "text",
    [
        "keyframe 12 of 40, monkey=3, max_tokens=512",
        "[1/1] rs_0123456789abcdef transfer: frame 24/48",
        "GPU-00000000-0000-0000-0000-000000000000, 81559 MiB",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_a_value_that_is_known_is_masked_without_its_name() -> None:
    known = secrets_of({"HF_TOKEN": "two words", "PATH": "/usr/bin", "NO_KEY": ""})
    assert known == {"two words"}
    assert secrets_of({"COSMOS_NOTIFY_URLS": "slack://a json://b"}) > {"slack://a", "json://b"}
    assert without_secrets("curl -H two words /usr/bin", known) == "curl -H *** /usr/bin"


def test_json_stays_json() -> None:
    given = {"order": {"env": {"HF_TOKEN": 'a"b\\c', "SIZE": "3"}, "runs": [1, None, True]}}
    clean = json.loads(without_secrets(json.dumps(given), {'a"b\\c'}))
    assert clean == {"order": {"env": {"HF_TOKEN": "***", "SIZE": "3"}, "runs": [1, None, True]}}


@given(
    st.from_regex(r"[A-Z]{0,5}(TOKEN|PASSWORD|SECRET|KEY)[A-Z]{0,5}", fullmatch=True),
    st.text(min_size=8).filter(lambda value: value.strip("*") != ""),
)
def test_no_value_of_an_environment_survives_in_json(name: str, value: str) -> None:
    container = json.dumps([{"Config": {"Env": [f"{name}={value}", "A=b"]}}])
    assert json.loads(without_secrets(container)) == [{"Config": {"Env": [f"{name}=***", "A=b"]}}]


@given(st.text())
def test_any_text_can_be_cleaned_and_is_clean_then(text: str) -> None:
    once = without_secrets(text)
    assert without_secrets(once) == once
