"""What a run was made of and what was made of it, in both databases."""

from __future__ import annotations

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.operate.family import MOST, ancestors, descendants
from tests.catalog.rows import add_prompt, add_run


def test_the_family_of_a_run_is_told_in_order_and_has_an_end(catalog: Catalog) -> None:
    first = add_prompt(catalog, "fog")
    enhance = add_run(catalog, prompt_id=first.id, model_type="enhance")
    second, _ = catalog.add_prompt(
        "thick fog", None, first.scene, "thick", {},
        parent_prompt_id=first.id, source_run_id=enhance.id,
    )  # fmt: skip
    videos = [add_run(catalog, prompt_id=second.id) for _ in range(MOST + 5)]
    larger = add_run(
        catalog, prompt_id=second.id, model_type="upscale", parent_run_id=videos[-1].id
    )
    above = [one.row.id for one in ancestors(catalog, larger)]  # type: ignore[union-attr]
    assert above == [first.id, enhance.id, second.id, videos[-1].id]
    below = [(one.row.id, one.depth) for one in descendants(catalog, enhance)]  # type: ignore[union-attr]
    shown = [(run.id, 1) for run in videos[-MOST:]]
    assert below == [(second.id, 0), *shown, (larger.id, 2)]
    assert descendants(catalog, larger) == []
