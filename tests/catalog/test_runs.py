from __future__ import annotations

import json
from typing import get_args

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.records import MODEL_TYPES
from cosmos_pipelines.errors import DiskFull, InputError, UnknownId
from cosmos_pipelines.operations import ModelType
from tests.catalog.rows import OWNER, add_prompt, add_run, complete


def test_the_operations_are_those_of_the_domain() -> None:
    assert get_args(ModelType) == MODEL_TYPES


def test_many_runs_and_prompts_are_found_in_the_order_asked_for(catalog: Catalog) -> None:
    prompt = add_prompt(catalog)
    one, two = add_run(catalog, prompt_id=prompt.id), add_run(catalog)
    many = [f"rs_{n:032x}" for n in range(1, 2500)]  # more than one query takes
    assert catalog.find_runs([*many, two.id, one.id]) == {one.id: one, two.id: two}
    assert catalog.find_prompts(["ps_none", prompt.id]) == {prompt.id: prompt}
    assert catalog.find_runs([]) == {}
    assert catalog.get_runs([two.id[:-1], one.id, two.id]) == [two, one]
    with pytest.raises(UnknownId, match=many[0]):
        catalog.get_runs([one.id, many[0]])


def test_the_runs_of_orders_are_those_that_were_last_part_of_them(catalog: Catalog) -> None:
    one, two, _ = (add_run(catalog) for _ in range(3))
    for run in (one, two):
        catalog.claim(run.id, OWNER)
        catalog.advance(run.id, OWNER, "uploading", "uploading", batch_id=f"order_{run.id}")
    found = catalog.runs_of_orders([f"order_{two.id}", f"order_{one.id}", "order_none"])
    assert [run.id for run in found] == [two.id, one.id]
    assert json.loads(json.dumps(run.as_dict()))["duration_s"] is None


def test_a_run_is_found_by_the_beginning_of_its_id(catalog: Catalog) -> None:
    one = add_run(catalog, run_id="rs_" + "a" * 31 + "1")
    two = add_run(catalog, run_id="rs_" + "a" * 31 + "2")
    three = add_run(catalog, run_id="rs_b" + "c" * 31)
    assert catalog.get_run("rs_b") == catalog.get_run("bc") == three
    with pytest.raises(InputError, match="Several") as caught:
        catalog.get_run("rs_a")
    assert one.id in str(caught.value)
    assert two.id in str(caught.value)
    for wanted in ("", "rs_ff", "%", "\x00"):
        with pytest.raises(UnknownId):
            catalog.get_run(wanted)


def test_runs_are_listed_by_what_one_asks(catalog: Catalog) -> None:
    prompt = add_prompt(catalog)
    video = complete(catalog, add_run(catalog, prompt_id=prompt.id))
    upscale = add_run(catalog, model_type="upscale", parent_run_id=video.id)
    other = add_run(catalog)
    catalog.claim(other.id, OWNER)
    catalog.advance(other.id, OWNER, "uploading", "uploading", batch_id="batch_1")

    def listed(**fields: object) -> list[str]:
        return [run.id for run in catalog.list_runs(**fields)]  # type: ignore[arg-type]

    assert listed() == [other.id, upscale.id, video.id]
    assert listed(status="completed") == listed(prompt_id=prompt.id) == [video.id]
    assert listed(status=["completed", "pending"]) == [upscale.id, video.id]
    assert listed(status=[]) == []
    assert listed(model_type="upscale") == listed(parent_run_id=video.id) == [upscale.id]
    assert listed(batch_id="batch_1") == [other.id]
    assert listed(limit=1, offset=1) == [upscale.id]
    with pytest.raises(InputError, match="no status 'done'"):
        listed(status="done")
    counts = catalog.count_by_status()
    assert (counts["completed"], counts["pending"], counts["failed"]) == (1, 1, 0)


def test_runs_are_rated_tagged_and_noted(catalog: Catalog) -> None:
    run = add_run(catalog, tags=["a"])
    assert catalog.rate(run.id, 4).rating == 4
    assert catalog.rate(run.id, None).rating is None
    for rating in (0, 6):
        with pytest.raises(InputError, match="1 to 5"):
            catalog.rate(run.id, rating)
    assert catalog.tag(run.id, add=[" B  c", "a"], remove=["A"]).tags == ["b c"]
    with pytest.raises(InputError, match="empty"):
        catalog.tag(run.id, add=[" "])
    catalog.note(run.id, "odd")
    assert catalog.note(run.id, "odd").notes == ["odd"]
    assert catalog.get_run(run.id).updated_at > run.updated_at
    with pytest.raises(UnknownId):
        catalog.rate("rs_nothing", 1)


@pytest.mark.parametrize(
    "change", ["status = 'done'", "model_type = 'x'", "rating = 6", "attempt = 0"]
)
def test_the_database_itself_refuses_what_cannot_be(catalog: Catalog, change: str) -> None:
    run = add_run(catalog)
    with pytest.raises(IntegrityError), catalog.write() as tx:
        tx.connection.execute(text(f"UPDATE runs SET {change}"))
    assert catalog.get_run(run.id) == run


def test_a_prompt_with_runs_cannot_vanish_by_accident(catalog: Catalog) -> None:
    prompt = add_prompt(catalog)
    add_run(catalog, prompt_id=prompt.id)
    with pytest.raises(IntegrityError), catalog.write() as tx:
        tx.connection.execute(text("DELETE FROM prompts"))


def test_texts_from_a_log_are_stored_whatever_bytes_they_had(catalog: Catalog) -> None:
    run = add_run(catalog, notes=["a\x00b\ud800c"])
    catalog.claim(run.id, OWNER)
    message = b"died\x00 \xff".decode(errors="surrogateescape")
    assert catalog.advance(
        run.id, OWNER, "uploading", "failed", error_kind="model_failed", error_message=message
    )
    failed = catalog.get_run(run.id)
    assert (failed.error_message, failed.notes) == ("died ", ["abc"])


def test_a_full_disk_is_told_as_such_and_nothing_is_half_written(tmp_path) -> None:
    with Catalog.open(f"sqlite:///{tmp_path / 'cosmos.db'}") as catalog:
        # SQLite says for a file at its size limit what it says for a full disk
        with catalog.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DiskFull, match="no room"):
            for _ in range(500):
                add_run(catalog, notes=["x" * 1000])
        run_ids = [run.id for run in catalog.list_runs(limit=None)]
        assert all(catalog.get_run(run_id).notes == ["x" * 1000] for run_id in run_ids)


def test_scenes_and_recipes_are_replaced_and_unchanged_scenes_are_no_news(
    catalog: Catalog,
) -> None:
    facts = {"color": {"width": 64, "fps": "24"}}
    first = catalog.put_scene("shots/a", "/in/shots/a", "d1", facts, None)
    _, cursor = catalog.changes_since(None)
    assert catalog.put_scene("shots/a", "/in/shots/a", "d1", facts, None) == first
    assert catalog.changes_since(cursor)[0] == []
    second = catalog.put_scene("shots/a", "/in/shots/a", "d2", facts, "a city")
    assert (second.digest, second.created_at) == ("d2", first.created_at)
    assert second.updated_at > first.updated_at
    assert catalog.list_scenes() == [catalog.get_scene("shots/a")] == [second]
    assert catalog.find_scene("x") is None
    with pytest.raises(UnknownId, match="shots/a"):
        catalog.get_scene("shots/b")

    catalog.put_recipe("soft", "preview", "transfer", {"guidance": 3.0})
    recipe = catalog.put_recipe("soft", "preview", "transfer", {"guidance": 4.0})
    assert catalog.list_recipes() == [catalog.get_recipe("soft")] == [recipe]
    assert recipe.config == {"guidance": 4.0}
    with pytest.raises(UnknownId, match="soft"):
        catalog.get_recipe("sofd")
    with pytest.raises(InputError, match="name"):
        catalog.put_recipe(" ", "preview", "transfer", {})


def test_only_a_completed_transfer_has_a_video_to_upscale(catalog: Catalog) -> None:
    prompt = add_prompt(catalog)
    transfer = complete(catalog, add_run(catalog, prompt_id=prompt.id))
    complete(catalog, add_run(catalog, model_type="upscale", parent_run_id=transfer.id))
    add_run(catalog, prompt_id=prompt.id)
    catalog.cancel_pending(add_run(catalog, prompt_id=prompt.id).id)
    assert catalog.ids_with_video() == [transfer.id]


def test_videos_are_found_by_the_scenes_and_files_they_were_made_of_and_in_turn(
    catalog: Catalog,
) -> None:
    city, park = (add_prompt(catalog, scene=scene) for scene in ("city", "park"))
    videos = [complete(catalog, add_run(catalog, prompt_id=p.id)).id for p in (city, park, city)]
    larger = complete(
        catalog,
        add_run(catalog, model_type="upscale", prompt_id=city.id, parent_run_id=videos[0]),
    )
    of_file = complete(catalog, add_run(catalog, model_type="upscale", source={"video": "/a.mp4"}))
    complete(catalog, add_run(catalog, model_type="enhance", prompt_id=city.id))
    add_run(catalog, prompt_id=city.id)
    of_city = {run.id for run in catalog.videos_of_scenes(["city", "nowhere"])}
    assert of_city == {videos[0], videos[2], larger.id}
    assert [run.id for run in catalog.upscales_of_files()] == [of_file.id]
    every = sorted([*videos, larger.id, of_file.id])
    assert [run.id for run in catalog.videos_after("", 2)] == every[:2]
    assert [run.id for run in catalog.videos_after(every[1], 9)] == every[2:]


def test_scenes_are_read_in_turn(catalog: Catalog) -> None:
    for key in ("b", "a", "c"):
        catalog.put_scene(key, f"inputs/{key}", "d", {})
    assert [scene.key for scene in catalog.scenes_after("", 2)] == ["a", "b"]
    assert [scene.key for scene in catalog.scenes_after("b", 2)] == ["c"]


def test_scenes_that_were_registered_after_a_moment_are_found(catalog: Catalog) -> None:
    for key in ("a", "a/left", "b"):
        catalog.put_scene(key, f"inputs/{key}", "d", {})
    before = catalog.get_scene("a/left").updated_at
    catalog.put_scene("a/left", "inputs/a/left", "d2", {})
    (touched,) = catalog.scenes_touched(max(before, catalog.get_scene("b").updated_at)).items()
    assert touched == ("a/left", catalog.get_scene("a/left").updated_at)
