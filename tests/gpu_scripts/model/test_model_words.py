"""What the lines of a model say of why it has ended."""

from __future__ import annotations

import sys

from tests.gpu_scripts.model.model_orders import SCRIPTS

sys.path.append(str(SCRIPTS / "model"))

from model_words import LastWords


def said(*lines: str) -> str:
    words = LastWords()
    for line in lines:
        words.heard(line)
    return words.said


def test_a_ruler_is_never_a_models_last_word() -> None:
    assert said("unknown option --seeds", "=" * 60, "-----") == "unknown option --seeds"


def test_a_line_for_developers_is_never_a_models_last_word() -> None:
    debug = "[11-22 09:08:07|{}DEBUG|cosmos_transfer2/inference.py:186:f] InferenceArguments()"
    lines = [debug.format(job) for job in ("", "job=|")]
    assert said("the end came early", *lines) == "the end came early"


def test_an_exception_of_one_gpu_is_told_without_its_number() -> None:
    line = "[rank0]: Exception: Guardrail blocked video2world generation."
    assert said(line, "bye") == "Exception: Guardrail blocked video2world generation."


def test_the_last_error_counts_more_than_what_is_written_after_it() -> None:
    lines = ("ValueError: a first one", "[rank1]: torch.cuda.Error: a second one", "bye")
    assert said(*lines) == "Error: a second one"


def test_a_heading_of_the_launcher_is_no_error_of_the_model() -> None:
    last = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: train.py"
    assert said("ImportError: no module", last) == "ImportError: no module"
