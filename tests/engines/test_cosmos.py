"""What NVIDIA's engines read from our program's log, and what settings make of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from cosmos_pipelines.engines import engine_named
from cosmos_pipelines.engines.cosmos3 import Cosmos3, Cosmos3Options
from cosmos_pipelines.engines.cosmos_transfer1 import Transfer1, Transfer1Options
from cosmos_pipelines.engines.cosmos_transfer2_5 import Transfer2_5, Transfer2_5Options
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations import Enhance, Job, Outcome, Transfer, Upscale
from cosmos_pipelines.operations.base import Verdict
from tests.engines.test_cosmos_cases import NAMES, video_of

SIZE = "1280x704 121@24"
T1, T25, C3 = Transfer1(), Transfer2_5(), Cosmos3()
ENGINES = (T1, T25, C3)
each = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)


def job(
    run_id: str = "rs_1", text: str = "A street", passes: Any = ("depth",), **fields: Any
) -> Job:
    settings = {"weights": {"depth": 1}} | fields
    inputs = {name: video_of(name, SIZE) for name in ("color", *passes)}
    return Job(run_id=run_id, operation=Transfer.parse(settings), text=text, inputs=inputs)


def upscale(run_id: str = "rs_u", frames: int = 121, **fields: Any) -> Job:
    video = video_of("video", f"1280x704 {frames}@24")
    return Job(run_id=run_id, operation=Upscale.parse(fields), inputs={"video": video})


def says(engine: Any) -> dict[str, Any]:
    """What an order tells `model_run.py` of the model's lines."""
    request = json.loads(engine.compile([job()], "order_1").documents["request.json"])
    return dict(request["says"])


# ---- the log of model_run.py

LOG = """\
[1/3] rs_1 transfer: loading (load 1)
FAILED rs_1: blocked: The guardrail's blocklist refused the text for the word: gore
GOING ON with 2 samples: load 2
[2/3] rs_12 transfer: done in 12.0 s, outputs/rs_12.mp4
FAILED rs_3: out_of_memory: The GPU's memory ran out.
"""


@each
def test_each_run_is_told_its_own_reason(engine: Any) -> None:
    ended = Outcome(exit_code=1)
    one, three = (engine.diagnose(ended, LOG, run_id) for run_id in ("rs_1", "rs_3"))
    assert (one.kind, one.message) == (
        "blocked",
        "The guardrail's blocklist refused the text for the word: gore",
    )
    assert (three.kind, three.message) == ("out_of_memory", "The GPU's memory ran out.")


@each
def test_a_run_id_that_begins_like_another_is_not_taken_for_it(engine: Any) -> None:
    assert engine.diagnose(Outcome(exit_code=1), LOG, "rs_").kind == "model_failed"


@each
def test_the_last_word_on_a_run_counts(engine: Any) -> None:
    log = LOG + "FAILED rs_1: model_failed: Something else.\n"
    assert engine.diagnose(Outcome(exit_code=1), log, "rs_1").message == "Something else."


@each
@pytest.mark.parametrize("run_id", ["rs_1", None])
def test_a_refusal_is_of_all_runs(engine: Any, run_id: str | None) -> None:
    log = "REFUSED: out_of_memory: GPU 0 has 4096 MiB free, 67584 MiB are needed\n"
    verdict = engine.diagnose(Outcome(exit_code=2), log, run_id)
    assert (verdict.kind, verdict.message) == (
        "out_of_memory",
        "GPU 0 has 4096 MiB free, 67584 MiB are needed",
    )


@each
def test_what_the_model_itself_prints_is_no_verdict(engine: Any) -> None:
    log = "a prompt that says FAILED rs_1: blocked: hello\nand REFUSED: blocked: too\n"
    assert engine.diagnose(Outcome(exit_code=1), log, "rs_1").kind == "model_failed"


@each
def test_what_was_stopped_says_so_unless_it_had_failed_before(engine: Any) -> None:
    stopped = Outcome(exit_code=143, stopped="timeout")
    assert engine.diagnose(stopped, LOG, "rs_2").kind == "timeout"
    assert engine.diagnose(stopped, LOG, "rs_1").kind == "blocked"


@each
def test_what_its_program_told_of_a_run_counts_before_its_log(engine: Any) -> None:
    told = Verdict(kind="blocked", message="The guardrail refused the prompt.")
    vanished = Outcome(exit_code=None, failed={"rs_9": told})
    assert engine.diagnose(vanished, LOG, "rs_9") == told
    assert engine.diagnose(vanished, "", "rs_8").kind == "lost"


@each
def test_a_success_without_a_file_is_said(engine: Any) -> None:
    assert engine.diagnose(Outcome(exit_code=0), "", "rs_1").kind == "output_missing"


@each
@pytest.mark.parametrize(
    ("line", "done", "total", "text"),
    [
        ("[2/5] rs_ab transfer: chunk 1/2", 1, 2, "transfer 2 of 5: chunk 1 of 2"),
        ("[2/5] rs_ab transfer: done in 12.0 s, outputs/rs_ab.mp4", 1, 1, "transfer 2 of 5: made"),
        (
            "[2/5] rs_ab transfer: chunk 2/2, step 7/35",
            42,
            70,
            "transfer 2 of 5: chunk 2 of 2, step 7 of 35",
        ),
    ],
)
def test_progress_is_read_from_a_log_line(
    engine: Any, line: str, done: int, total: int, text: str
) -> None:
    progress = engine.progress(line + "\n")
    assert (progress.done, progress.total, progress.text) == (done, total, text)
    assert progress.run_id == "rs_ab"


@each
@pytest.mark.parametrize(
    "line",
    [
        "[1/1] rs_1 transfer: loading (load 1)",
        "Generating samples:  23%|##  | 8/35 [00:40<02:15]",
        "GOING ON with 3 samples: load 2",
    ],
)
def test_other_lines_tell_no_progress(engine: Any, line: str) -> None:
    assert engine.progress(line) is None


# ---- settings


def test_each_engine_is_known_by_its_name() -> None:
    assert [engine_named(name).name for name in NAMES] == list(NAMES)
    assert not any(engine_named(name).simulated for name in NAMES)


@pytest.mark.parametrize(
    ("engine", "steps", "guidance"), [(T1, 35, 5.0), (T25, 35, 3.0), (C3, 50, 3.0)]
)
def test_what_was_left_open_is_the_engines(engine: Any, steps: int, guidance: float) -> None:
    settled = engine.settled(job().operation)
    assert (settled.num_steps, settled.guidance) == (steps, guidance)
    assert settled == engine.settled(settled)
    mine = engine.settled(job(num_steps=7, guidance=1).operation)
    assert (mine.num_steps, mine.guidance) == (7, 1.0)


def test_the_distilled_model_takes_four_steps_unless_somebody_wants_other() -> None:
    fast = {"weights": {"edge": 1}, "use_distilled": True}
    assert T25.settled(Transfer.parse(fast)).num_steps == 4  # type: ignore[attr-defined]
    assert T25.settled(Transfer.parse({**fast, "num_steps": 8})).num_steps == 8  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        (
            T1,
            Transfer1Options(max_batch=3, code="/nvidia/code", huggingface="/hf", checkpoints="/w"),
        ),
        (T25, Transfer2_5Options(max_batch=3, code="/nvidia/code", huggingface="/hf")),
        (C3, Cosmos3Options(max_batch=3, code="/nvidia/code", huggingface="/hf")),
    ],
)
def test_options_say_where_things_lie_and_how_many_share_a_load(engine: Any, options: Any) -> None:
    wanted = engine.with_options(options)
    assert type(wanted) is type(engine)
    assert wanted.max_batch(job()) == 3
    given = {d.name: (d.source, d.target) for d in wanted.compile([job()], "order_1").directories}
    assert given["code"] == ("/nvidia/code", "/cosmos/code")
    assert given["huggingface"] == ("/hf", "/cosmos/huggingface")
    assert given.get("checkpoints", ("/w", "/cosmos/checkpoints"))[0] == "/w"
    assert engine.with_options(None) is engine
    assert engine.max_batch(job()) == 16


EDGE_OF_OURS = "/data/rain/edge.pt"
OWN = [
    (T25.with_options(Transfer2_5Options(checkpoint=EDGE_OF_OURS)), EDGE_OF_OURS, "/edge.pt"),
    (C3.with_options(Cosmos3Options(checkpoint="/data/rain")), "/data/rain", ""),
]
of_our_own = pytest.mark.parametrize(("engine", "own", "file"), OWN, ids=lambda x: str(x)[:12])


@of_our_own
def test_a_checkpoint_of_our_own_is_in_the_order_and_looked_for_before_the_load(
    engine: Any, own: str, file: str
) -> None:
    edge = job(passes=("edge",), weights={"edge": 1})
    order = engine.compile([edge], "order_1")
    assert order.weights == engine.weights(edge.operation) == own
    assert order.env["COSMOS_OWN_CHECKPOINT"] == f"{{checkpoint}}{file}"
    assert order.argv[order.argv.index("--checkpoint-path") + 1] == f"{{checkpoint}}{file}"
    places = {d.name: (d.source, d.target) for d in order.directories}
    assert places["checkpoint"] == ("/data/rain", "/cosmos/checkpoint/data/rain")
    needs = json.loads(order.documents["request.json"])["needs"]
    assert needs["checkpoint"] == own
    assert not [name for name in needs["hub"] if "Transfer2.5-2B" in name or "Nano@main/c" in name]
    assert f"The model loads your checkpoint {own}." in engine.check(edge)


@of_our_own
def test_runs_of_other_weights_share_no_load(engine: Any, own: str, file: str) -> None:
    edge = job(passes=("edge",), weights={"edge": 1})
    plain = engine_named(engine.name)
    assert plain.weights(edge.operation) == ""
    assert engine.batch_key(edge) != plain.batch_key(edge)


def test_transfer2_5_loads_our_own_for_its_control_alone() -> None:
    """Its code ignores the argument if there are several controls."""
    engine = OWN[0][0]
    for fields in (
        {"weights": {"edge": 1, "depth": 1}},
        {"weights": {"depth": 1}},
        {"weights": {"edge": 1}, "use_distilled": True, "max_frames": 93},
    ):
        other = job(passes=("edge", "depth"), **fields)
        order = engine.compile([other], "order_1")
        assert "--checkpoint-path" not in order.argv
        assert order.weights == ""
        assert "checkpoint" not in {d.name for d in order.directories}
        note = f"The model loads NVIDIA's weights: {EDGE_OF_OURS} is for edge alone."
        assert note in engine.check(other)


@pytest.mark.parametrize(
    ("options", "fields", "said"),
    [
        (
            Cosmos3Options,
            {"checkpoint": "Cosmos3-Big"},
            "is not Cosmos3-Nano or Cosmos3-Super, nor",
        ),
        (Cosmos3Options, {"checkpoint": "models/own"}, "nor an absolute path on the host"),
        (Cosmos3Options, {"checkpoint": "/data/../own"}, "is not a plain absolute path"),
        (Transfer2_5Options, {"checkpoint": "own.pt"}, "is not an absolute path of a .pt file"),
        (Transfer2_5Options, {"checkpoint": "/data/own"}, "is not an absolute path of a .pt file"),
        (Transfer2_5Options, {"checkpoint": "/data//own.pt"}, "is not a plain absolute path"),
        (Transfer2_5Options, {"checkpoint_experiment": "a b"}, "is not the name of an experiment"),
    ],
)
def test_a_checkpoint_that_the_model_would_refuse_is_refused_in_the_settings(
    options: Any, fields: dict[str, str], said: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        options.model_validate(fields)


@each
def test_where_nothing_is_said_things_lie_below_our_own_directory(engine: Any) -> None:
    for directory in engine.compile([job()], "order_1").directories:
        assert directory.source == f"engines/{engine.name}/{directory.name}"


@each
def test_a_place_for_the_set_up_is_pinned(engine: Any) -> None:
    setup = engine.setup
    assert re.fullmatch("[0-9a-f]{40}", setup.commit)
    assert setup.image == f"cosmos-pipelines/{engine.name}:{setup.commit[:12]}"
    assert setup.manifest == f"checkpoints/{engine.name}.json"
    assert engine.compile([job()], "order_1").image == setup.image


@each
def test_two_orders_on_one_host_take_other_ports(engine: Any) -> None:
    words = [engine.compile([job(num_gpus=4)], f"order_{n}").argv for n in range(4)]
    ports = {word for argv in words for word in argv if re.search(r"--master.port=\d+", word)}
    assert len(ports) == 4


def test_a_text_that_says_run_itself_stays_as_it_is() -> None:
    text = '{run}/x "{run}" \\{run} {code} {scripts}'
    for engine in ENGINES:
        order = engine.compile([job(text=text)], "order_1")
        texts = order.texts('/a "run" folder')
        request = json.loads(texts["request.json"])
        assert request["samples"][0]["prompt"] == text
        spec = json.loads(next(t for name, t in texts.items() if "spec" in name))
        assert spec["prompt"] == text
    assert '{"a"' not in text


def test_paths_are_those_of_the_run_folder_or_of_the_document() -> None:
    spec = json.loads(T1.compile([job()], "o").texts('/a "run"')["spec.json"])
    assert spec["input_video_path"] == '/a "run"/inputs/color-color00000000000.mp4'
    own = json.loads(T25.compile([job()], "o").texts("/elsewhere")["specs/rs_1.json"])
    assert own["video_path"] == "../inputs/color-color00000000000.mp4"


# ---- cost


@pytest.mark.parametrize(
    ("engine", "fields", "cost"),
    [
        (T1, {}, (1, 35, 1)),
        (T1, {"num_gpus": 2, "num_steps": 10}, (1, 10, 2)),
        (T1, {"weights": {"edge": 1}, "use_distilled": True}, (1, 1, 1)),
        (T25, {}, (2, 35, 1)),
        (T25, {"max_frames": 93}, (1, 35, 1)),
        (T25, {"weights": {"edge": 1}, "use_distilled": True, "max_frames": 93}, (1, 4, 1)),
        (C3, {}, (1, 50, 1)),
    ],
)
def test_a_cost_is_chunks_and_steps(engine: Any, fields: Any, cost: Any) -> None:
    counted = engine.cost(job(**fields))
    assert (counted.chunks, counted.steps, counted.gpus) == cost


def test_longer_clips_may_take_longer() -> None:
    assert [engine.allowed_s(job()) for engine in ENGINES] == [5400, 7200, 5400]
    assert T1.allowed_s(upscale(frames=121)) == 3600 + 5 * 3600
    assert T1.allowed_s(upscale(frames=400)) == 3600 + 4 * 5 * 3600
    enhance = Job(run_id="rs_e", operation=Enhance.parse({}), inputs={})
    assert T1.allowed_s(enhance) is None


def test_an_empty_negative_prompt_is_one() -> None:
    empty = job(negative_prompt="").model_copy(update={"negative_prompt": "fog"})
    documents = T1.compile([empty], "order_1").documents
    assert json.loads(documents["spec.json"])["negative_prompt"] == ""
    with pytest.raises(InputError, match="blocks an empty negative prompt"):
        T25.check(empty)
    assert (
        json.loads(C3.compile([empty], "o").documents["specs/rs_1.json"])["negative_prompt"] == ""
    )


def test_a_prompt_is_not_enhanced_by_a_single_frame_nor_upscaled_by_nothing() -> None:
    color = {"color": video_of("color", "1280x704 1@24")}
    one = Job(run_id="rs_1", operation=Enhance(), text="A street", inputs=color)
    with pytest.raises(InputError, match="at least 2"):
        T1.check(one)
    with pytest.raises(InputError, match="without any likeness to its source"):
        T1.check(upscale(control_weight=0))


def test_a_fraction_of_sigma_is_written_as_it_is() -> None:
    documents = T25.compile([job(sigma_max=123.4567)], "o").documents
    assert json.loads(documents["specs/rs_1.json"])["sigma_max"] == "123.4567"
