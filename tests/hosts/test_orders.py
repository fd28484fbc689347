"""Orders of a host's set-up, what their logs tell, and where a token comes from. No host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.hosts.lines import lines_of
from cosmos_pipelines.hosts.orders import (
    CheckpointsProgress,
    checkpoints_id,
    checkpoints_order,
    of_host,
    progress_of,
    read_smoke,
    smoke_order,
)
from cosmos_pipelines.hosts.token import token_of
from cosmos_pipelines.operations.base import Directory

ENGINE = ENGINES["cosmos_transfer1"]


def test_an_order_of_the_host_is_told_from_one_of_a_run() -> None:
    assert ENGINE.setup is not None
    order = smoke_order(ENGINE.name, ENGINE.setup, ENGINE.directories(), "1")
    assert of_host(order.id)
    assert not of_host("rs_1")
    assert not of_host("batch_1")
    assert (order.model_type, order.gpus, order.image) == ("smoke", 1, ENGINE.setup.image)
    assert order.environment(code="/cosmos/code")["COSMOS_CWD"] == "/cosmos/code"


def test_checkpoints_need_no_gpu_and_no_code_and_say_nothing_of_a_token() -> None:
    assert ENGINE.setup is not None
    token = Directory(name="token", source="engines/x/.token-1", target="/cosmos/token")
    order = checkpoints_order(
        ENGINE.name, "/home/a/cosmos", ENGINE.setup, ENGINE.directories(), "download",
        deep=True, only=("transfer", "edge", "edge"), token=token, manifest='{"files": []}',
    )  # fmt: skip
    assert order.id == checkpoints_id(ENGINE.name, "/home/a/cosmos")
    assert order.gpus == 0
    assert [d.name for d in order.directories] == ["checkpoints", "huggingface", "token"]
    assert order.argv[2] == "{run}/manifest.json"
    assert order.texts("/x") == {"manifest.json": '{"files": []}'}
    assert order.argv[3:] == ("download", "--deep", "--only", "edge,transfer")
    places = {d.name: d.target for d in order.directories}
    assert order.environment(**places) == {
        "COSMOS_CHECKPOINTS": "/cosmos/checkpoints",
        "HF_HOME": "/cosmos/huggingface",
        "HF_TOKEN_PATH": "/cosmos/token/token",
    }


def test_checkpoints_of_another_directory_are_another_order() -> None:
    mine, other = (checkpoints_id("x", root) for root in ("/home/a/cosmos", "/home/b/cosmos"))
    assert mine != other
    assert mine == checkpoints_id("x", "/home/a/cosmos")
    assert re.fullmatch(r"host-x-checkpoints-[0-9a-f]{8}", mine)
    assert of_host(mine)


def test_a_log_line_tells_how_far_checkpoints_are() -> None:
    line = "[12/31] 45 % 130.1 of 290.4 GB, 210 MB/s: nvidia/x.pt"
    text = "130.1 of 290.4 GB, 210 MB/s: nvidia/x.pt"
    assert progress_of(line) == CheckpointsProgress(12, 31, 45, text)
    assert progress_of("PROBLEM nvidia/x.pt: missing") is None
    assert progress_of("[1/2] rs_1 transfer: chunk 1/2") is None


@pytest.mark.parametrize(
    ("log", "exit_code", "passed"),
    [
        ("\x1b[92m[SUCCESS]\x1b[0m torch found\n", 0, True),
        ("\x1b[92m[SUCCESS]\x1b[0m torch found\n", 139, False),
        ("\x1b[92m[SUCCESS]\x1b[0m torch found\n", None, False),
        ("[SUCCESS] torch found\n[ERROR] Package not successfully imported: vllm\n", 0, False),
        ("\x1b[91m[ERROR]\x1b[0m nothing\n", 0, False),
        ("Attempting to import critical packages...\n", 0, False),
        ("", 0, False),
    ],
)
def test_a_smoke_test_passes_by_its_words_and_its_end(
    log: str, exit_code: int | None, passed: bool
) -> None:
    assert read_smoke(log, exit_code).passed is passed


def test_lines_come_whole_however_they_were_cut() -> None:
    chunks = [
        b"one\ntw",
        b"",
        b"o\r\n\n\x1b[92mth",
        "r\u00e9e".encode()[:2],
        "r\u00e9e".encode()[2:],
    ]
    assert list(lines_of(chunks)) == ["one", "two", "thr\u00e9e"]


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(" hf_of_the_file\n")
    file.chmod(0o600)
    assert token_of({"HF_TOKEN": " hf_x\n"}, file) == "hf_x"
    assert token_of({"HF_TOKEN": ""}, file) == "hf_of_the_file"
    assert token_of({}, None) is None
    with pytest.raises(InputError, match="HF_TOKEN cannot be a Hugging Face token") as caught:
        token_of({"HF_TOKEN": "two words"}, None)
    assert "two words" not in str(caught.value)
    file.write_text("")
    with pytest.raises(InputError, match="is empty"):
        token_of({}, file)
