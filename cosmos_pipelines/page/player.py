"""The page that plays a run's video."""

from __future__ import annotations

import html
from typing import Final

from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.settings import Settings


def player_page(catalog: Catalog, settings: Settings, run: Run) -> str:
    """Return HTML that plays a run's video and names its prompt, size, engine and what is stale."""
    from cosmos_pipelines.engines import label_of
    from cosmos_pipelines.runs.outdated import Now

    prompt = catalog.get_prompt(run.prompt_id) if run.prompt_id else None
    out = run.outputs
    facts = [
        f"{out['width']} x {out['height']}",
        f"{out['frames']} frames",
        f"{out['fps']} a second",
    ]
    title = prompt.name if prompt else run.id
    stale = " ".join(reason.said for reason in Now(catalog, settings).reasons(run))
    return _PLAYER.format(
        title=html.escape(title),
        run_id=run.id,
        facts=html.escape(", ".join(facts)),
        text=html.escape(prompt.text if prompt else (run.source or {}).get("video", "")),
        engine=html.escape(label_of(run.engine)),
        stale=f"<p><b>Out of date.</b> {html.escape(stale)}</p>" if stale else "",
    )


_PLAYER: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
  body {{ margin: 0; background: #111; color: #ddd; font: 15px/1.5 system-ui, sans-serif }}
  main {{ max-width: 1280px; margin: 0 auto; padding: 16px }}
  video {{ width: 100%; max-height: 78vh; background: #000 }}
  h1 {{ font-size: 18px; margin: 12px 0 0 }}
  p {{ margin: 4px 0; max-width: 80ch }}
  code, .facts {{ color: #999 }}
  a {{ color: #9bf }}
  b {{ color: #fb5 }}
</style>
<main>
  <video src="/cosmos/video/{run_id}.mp4" controls autoplay loop muted playsinline></video>
  <h1>{title}</h1>
  <p>{text}</p>
  {stale}
  <p class="facts">{facts}, <b>{engine}</b></p>
  <p><code>{run_id}</code> <a href="/cosmos/video/{run_id}.mp4" download>Download</a></p>
</main>
</html>
"""
