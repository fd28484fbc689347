"""What Dagster's page shows of a scene, a prompt and a run: metadata, data version, parents.

Ids are links (links.py). Rating and tags change later: a materialisation has those of its time, and
`opinion_event` records an observation, which Dagster's page shows instead.

Pictures are Markdown with a URL relative to the page (`cosmos ui` serves both), so that they work
from any host and port; Dagster shows Markdown inline below 1,000 characters. What is recorded under
a page that does not serve them (`dagster dev`) has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import dagster as dg

from cosmos_pipelines.assets.links import Links, link
from cosmos_pipelines.assets.partitions import (
    DATA_VERSION,
    ENHANCED,
    FILES,
    PROMPTS,
    SCENES,
    UPSCALED,
    VIDEOS,
    latest,
    partitions_of,
    place_of,
    provenance,
)
from cosmos_pipelines.catalog.records import Prompt, Run, SceneRow
from cosmos_pipelines.engines import ENGINES, label_of
from cosmos_pipelines.runs.estimates.history import record_in
from cosmos_pipelines.runs.estimates.money import paid
from cosmos_pipelines.runs.estimates.words import amount
from cosmos_pipelines.runs.locations import located, scene_place
from cosmos_pipelines.settings import Settings, under_another_page

NONE: Final = "none"
"""What Dagster's page shows where a run has no rating or no tags."""

if TYPE_CHECKING:
    Result = dg.MaterializeResult[Any]
else:
    Result = dg.MaterializeResult  # Dagster reads annotations, and does not know this one's `[Any]`


@dataclass(frozen=True)
class PartitionContent:
    """One partition's content, ready to be recorded."""

    asset: dg.AssetKey
    partition: str
    version: str
    """Hash of the content: Dagster's data version."""
    metadata: dict[str, Any]
    parents: list[tuple[dg.AssetKey, str]]
    opinion: dict[str, Any] = field(default_factory=dict)
    """What people think of it, which may change: a part of the metadata."""

    def tags(self, instance: dg.DagsterInstance) -> dict[str, str]:
        """Data version and exact provenance."""
        return {DATA_VERSION: self.version, **provenance(instance, self.parents)}

    def event(self, instance: dg.DagsterInstance) -> dg.AssetMaterialization:
        """The event that records it, from wherever it was made."""
        return dg.AssetMaterialization(
            self.asset, partition=self.partition, metadata=self.metadata, tags=self.tags(instance)
        )

    def result(
        self, instance: dg.DagsterInstance, checks: list[dg.AssetCheckResult] | None = None
    ) -> Result:
        """The result of the step that made it."""
        return dg.MaterializeResult(
            metadata=self.metadata,
            data_version=dg.DataVersion(self.version),
            tags=provenance(instance, self.parents),
            check_results=checks or [],
        )

    def opinion_event(self, instance: dg.DagsterInstance) -> dg.AssetObservation | None:
        """The event that brings rating and tags up to date; None: Dagster knows them."""
        if not self.opinion:
            return None
        wanted = dg.AssetRecordsFilter(asset_key=self.asset, asset_partitions=[self.partition])
        made = latest(instance, self.asset, self.partition)
        seen = instance.fetch_observations(wanted, limit=1).records
        last = seen[0] if seen and (made is None or seen[0].storage_id > made.storage_id) else made
        metadata = last.asset_event.metadata if last and last.asset_event else {}
        said = {name: getattr(metadata.get(name), "value", NONE) for name in self.opinion}
        if said == self.opinion:
            return None
        return dg.AssetObservation(self.asset, partition=self.partition, metadata=self.opinion)


def scene_content(settings: Settings, scene: SceneRow) -> PartitionContent:
    """A scene: its moving picture, size and passes."""
    color = scene.facts["color"]
    columns = ("pass", "width", "height", "frames", "fps", "sha256")
    rows = [
        dg.TableRecord({"pass": name, **{c: facts[c] for c in columns[1:]}})
        for name, facts in scene.facts.items()
    ]
    metadata: dict[str, Any] = {
        **_picture("preview", "scene", scene.key, scene.digest),
        **_video_facts(color),
        "passes": dg.MetadataValue.table(rows),
        "path": dg.MetadataValue.path(str(scene_place(settings, scene))),
        "scene": Links.of(settings).scene(scene.key, (SCENES, scene.key)),
    }
    if scene.description:
        metadata["description"] = scene.description
    return PartitionContent(SCENES, scene.key, scene.digest, metadata, [])


def prompt_content(settings: Settings, prompt: Prompt) -> PartitionContent:
    """A prompt: its text, scene and where it came from."""
    links = Links.of(settings)
    metadata: dict[str, Any] = {
        "text": dg.MetadataValue.text(prompt.text),
        "name": prompt.name,
        "prompt id": links.prompt(prompt.id, (PROMPTS, prompt.id)),
        "scene": links.scene(prompt.scene, (SCENES, prompt.scene)),
        **_picture("scene picture", "scene", prompt.scene, ""),
    }
    if prompt.negative_prompt:
        metadata["negative prompt"] = dg.MetadataValue.text(prompt.negative_prompt)
    if prompt.parameters:
        metadata["parameters"] = dg.MetadataValue.json(prompt.parameters)
    parents = [(SCENES, prompt.scene)]
    if (enhanced := (ENHANCED, prompt.id)) in partitions_of(prompt):
        metadata["better prompt"] = links.partition("partition", enhanced)
    if prompt.parent_prompt_id:
        parent = (PROMPTS, prompt.parent_prompt_id)
        how = "enhanced" if prompt.source_run_id else "edited"
        metadata[f"{how} from"] = links.prompt(prompt.parent_prompt_id, parent)
        if prompt.source_run_id:
            place = (ENHANCED, prompt.parent_prompt_id)
            metadata["enhanced by"] = links.run(prompt.source_run_id, place)
        parents.append(parent)
    return PartitionContent(PROMPTS, prompt.id, prompt.id.removeprefix("ps_"), metadata, parents)


def run_content(settings: Settings, run: Run, prompt: Prompt | None) -> PartitionContent:
    """A completed run of this prompt: the video or text that it made, and how."""
    asset, partition = place_of(run)
    links, opinion = Links.of(settings), _opinion(run)
    picture = _picture("preview", "run", run.id, str(run.outputs.get("sha256", "")))
    is_text = run.model_type == "enhance"
    metadata: dict[str, Any] = {
        **(_text(links, run) if is_text else picture),
        **_origins(settings, links, run, prompt),
        "engine": label_of(run.engine),
        "run": links.run(run.id),
        "log": links.log(run.id),
        **({} if is_text else _video(settings, run)),
        **_times(run),
        **{name: value for name, value in opinion.items() if value != NONE},
        "settings": dg.MetadataValue.json(dict(run.execution_config)),
    }
    if run.notes:
        metadata["notes"] = dg.MetadataValue.text("\n".join(run.notes))
    metadata = {name: value for name, value in metadata.items() if value is not None}
    version = str(run.outputs.get("sha256") or run.outputs.get("enhanced_prompt_id") or run.id)
    return PartitionContent(asset, partition, version, metadata, _parents(run), opinion)


def _opinion(run: Run) -> dict[str, Any]:
    return {"rating": run.rating or NONE, "tags": ", ".join(sorted(run.tags)) or NONE}


def _times(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if run.duration_s is not None:
        found["seconds taken"] = round(run.duration_s, 2)
    timing = record_in(run.outputs, "timing")
    for name, of in (("model seconds", "seconds"), ("load seconds", "load_s")):
        if of in timing:
            found[name] = float(timing[of])
    if "chunks" in timing:
        found["chunks"] = int(timing["chunks"])
    if (cost := paid(timing)) is not None:
        found["cost"] = amount(*cost)
    return found


def _origins(settings: Settings, links: Links, run: Run, prompt: Prompt | None) -> dict[str, Any]:
    """What a run was made of, by whom and where; None for what it has not."""
    parent, video = run.parent_run_id, run.source.get("video")
    found: dict[str, Any] = {}
    if prompt is not None:
        found |= {
            "prompt": dg.MetadataValue.text(prompt.text),
            "prompt name": prompt.name,
            "prompt id": links.prompt(prompt.id, (PROMPTS, prompt.id)),
            "scene": links.scene(prompt.scene, (SCENES, prompt.scene)),
        }
    found |= {
        "recipe": run.recipe and links.wall(run.recipe, recipe=run.recipe),
        "parent run": parent and links.run(parent, (VIDEOS, parent)),
        "source file": video and str(located(settings, video)),
        "container": run.container_name,
        "host": run.host,
        "image": run.image_digest,
    }
    if run.model_type == "transfer":
        found["4K video"] = links.partition("partition", (UPSCALED, run.id))
    return {name: value for name, value in found.items() if value}


def _parents(run: Run) -> list[tuple[dg.AssetKey, str]]:
    if run.model_type == "upscale":
        return [(VIDEOS, run.parent_run_id)] if run.parent_run_id else []
    return [(PROMPTS, run.prompt_id)] if run.prompt_id else []


SHOWN_AT: Final[Mapping[dg.AssetKey, tuple[str, dict[str, str]]]] = {
    SCENES: ("scenes", {}),
    PROMPTS: ("prompts", {}),
    ENHANCED: ("", {"type": "enhance"}),
    VIDEOS: ("", {"type": "transfer"}),
    UPSCALED: ("", {"type": "upscale"}),
    FILES: ("", {"type": "upscale"}),
}
"""The screen of the review page, with filters of the wall, that shows an asset's partitions."""


def described(links: Links, asset: dg.AssetKey, description: str) -> str:
    """An asset's description, with a link to where the review page shows all of it."""
    path, filters = SHOWN_AT[asset]
    url = links.review(path, **filters)
    return f"{description}\n\n{link('See them on the review page', url)}." if url else description


def code_version() -> str:
    """Changes whenever some engine would make other pixels of the same order."""
    return ", ".join(f"{e.name} {e.version}" for e in ENGINES.values())


def _video(settings: Settings, run: Run) -> dict[str, Any]:
    out = run.outputs
    return {
        **_video_facts(out),
        "megabytes": round(out["size"] / 1e6, 3),
        "path": dg.MetadataValue.path(str(settings.home / out["video"])),
        "sha256": out["sha256"],
    }


def _text(links: Links, run: Run) -> dict[str, Any]:
    made = {"enhanced text": dg.MetadataValue.text(run.outputs.get("enhanced_text", ""))}
    if new := run.outputs.get("enhanced_prompt_id"):
        return {**made, "new prompt": links.prompt(new, (PROMPTS, new))}
    return made


def _video_facts(facts: dict[str, Any]) -> dict[str, Any]:
    rate = Fraction(facts["fps"])
    return {
        "size": f"{facts['width']} x {facts['height']}",
        "frames": int(facts["frames"]),
        "frames a second": float(rate),
        "duration": round(float(int(facts["frames"]) / rate), 3),
    }


def _picture(label: str, kind: str, name: str, version: str) -> dict[str, Any]:
    """A moving picture; `version` changes the URL with the content, past the browser's cache.

    Its text stands where another page shows what was recorded for ours.
    """
    if under_another_page():
        return {}
    url = f"/cosmos/preview/{kind}/{quote(name)}.webp" + (f"?v={version[:12]}" if version else "")
    return {label: dg.MetadataValue.md(f"![shown by cosmos ui]({url})")}
