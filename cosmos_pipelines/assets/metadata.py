"""What Dagster's page shows of a scene, a prompt and a run: metadata, data version, parents.

Pictures are Markdown with a URL relative to the page (`cosmos ui` serves both), so that they work
from any host and port; Dagster shows Markdown inline below 1,000 characters. What is recorded under
a page that does not serve them (`dagster dev`) has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import dagster as dg

from cosmos_pipelines.assets.partitions import (
    DATA_VERSION,
    PROMPTS,
    SCENES,
    VIDEOS,
    place_of,
    provenance,
)
from cosmos_pipelines.catalog.records import Prompt, Run, SceneRow
from cosmos_pipelines.engines import ENGINES, label_of
from cosmos_pipelines.runs.locations import located, scene_place
from cosmos_pipelines.settings import Settings, under_another_page

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
    }
    if scene.description:
        metadata["description"] = scene.description
    return PartitionContent(SCENES, scene.key, scene.digest, metadata, [])


def prompt_content(prompt: Prompt) -> PartitionContent:
    """A prompt: its text, scene and where it came from."""
    metadata: dict[str, Any] = {
        "text": dg.MetadataValue.text(prompt.text),
        "name": prompt.name,
        "scene": prompt.scene,
        **_picture("scene picture", "scene", prompt.scene, ""),
    }
    if prompt.negative_prompt:
        metadata["negative prompt"] = dg.MetadataValue.text(prompt.negative_prompt)
    if prompt.parameters:
        metadata["parameters"] = dg.MetadataValue.json(prompt.parameters)
    parents = [(SCENES, prompt.scene)]
    if prompt.parent_prompt_id:
        how = "enhanced" if prompt.source_run_id else "edited"
        metadata[f"{how} from"] = prompt.parent_prompt_id
        if prompt.source_run_id:
            metadata["enhanced by"] = prompt.source_run_id
        parents.append((PROMPTS, prompt.parent_prompt_id))
    return PartitionContent(PROMPTS, prompt.id, prompt.id.removeprefix("ps_"), metadata, parents)


def run_content(settings: Settings, run: Run, prompt: Prompt | None) -> PartitionContent:
    """A completed run of this prompt: the video or text that it made, and how."""
    asset, partition = place_of(run)
    made = _text(run) if run.model_type == "enhance" else _video(settings, run)
    metadata: dict[str, Any] = {**made, "engine": label_of(run.engine), "run": run.id}
    if run.duration_s is not None:
        metadata["seconds taken"] = round(run.duration_s, 2)
    if timing := run.outputs.get("timing"):
        metadata["model seconds"] = float(timing["seconds"])
        metadata["load seconds"] = float(timing["load_s"])
        metadata["chunks"] = int(timing["chunks"])
    if prompt:
        metadata["prompt"] = dg.MetadataValue.text(prompt.text)
        metadata["prompt id"] = prompt.id
        metadata["scene"] = prompt.scene
    video = run.source.get("video")
    origins = {
        "recipe": run.recipe,
        "parent run": run.parent_run_id,
        "source file": video and str(located(settings, video)),
        "container": run.container_name,
        "host": run.host,
        "image": run.image_digest,
    }
    metadata |= {name: value for name, value in origins.items() if value}
    metadata["settings"] = dg.MetadataValue.json(dict(run.execution_config))
    if run.notes:
        metadata["notes"] = dg.MetadataValue.text("\n".join(run.notes))
    version = str(run.outputs.get("sha256") or run.outputs.get("enhanced_prompt_id") or run.id)
    return PartitionContent(asset, partition, version, metadata, _parents(run))


def _parents(run: Run) -> list[tuple[dg.AssetKey, str]]:
    if run.model_type == "upscale":
        return [(VIDEOS, run.parent_run_id)] if run.parent_run_id else []
    return [(PROMPTS, run.prompt_id)] if run.prompt_id else []


def code_version() -> str:
    """Changes whenever some engine would make other pixels of the same order."""
    return ", ".join(f"{e.name} {e.version}" for e in ENGINES.values())


def _video(settings: Settings, run: Run) -> dict[str, Any]:
    out = run.outputs
    player = {"player": dg.MetadataValue.url(f"/cosmos/player/{run.id}")}
    return {
        **_picture("preview", "run", run.id, str(out.get("sha256", ""))),
        **({} if under_another_page() else player),
        **_video_facts(out),
        "megabytes": round(out["size"] / 1e6, 3),
        "path": dg.MetadataValue.path(str(settings.home / out["video"])),
        "sha256": out["sha256"],
    }


def _text(run: Run) -> dict[str, Any]:
    made = {"enhanced text": dg.MetadataValue.text(run.outputs.get("enhanced_text", ""))}
    if new := run.outputs.get("enhanced_prompt_id"):
        return {**made, "new prompt": dg.MetadataValue.text(new)}
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
