"""Where the simulator of Cosmos-Transfer1 looks for checkpoints, below --checkpoint_dir."""

from __future__ import annotations

from pathlib import Path

from cosmos_transfer1.simulated.behaviour import missing

FAMILY = "nvidia/Cosmos-Transfer1-7B"
AV = "nvidia/Cosmos-Transfer1-7B-Sample-AV"
BASE = f"{FAMILY}/base_model.pt"
BASE_AV = f"{AV}/base_model.pt"
EDGE_DISTILLED = f"{FAMILY}/edge_control_distilled.pt"
CONTROLS = {
    "vis": f"{FAMILY}/vis_control.pt",
    "seg": f"{FAMILY}/seg_control.pt",
    "edge": f"{FAMILY}/edge_control.pt",
    "depth": f"{FAMILY}/depth_control.pt",
    "keypoint": f"{FAMILY}/keypoint_control.pt",
    "upscale": f"{FAMILY}/4kupscaler_control.pt",
    "hdmap": f"{AV}/hdmap_control.pt",
    "lidar": f"{AV}/lidar_control.pt",
}
TOKENIZER = tuple(
    f"nvidia/Cosmos-Tokenize1-CV8x8x8-720p/{name}"
    for name in ("encoder.jit", "decoder.jit", "mean_std.pt")
)
T5 = "google-t5/t5-11b"
T5_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
LLAMA_GUARD = "meta-llama/Llama-Guard-3-8B"
TEXT_GUARDRAIL = (
    "nvidia/Cosmos-Guardrail1/blocklist",
    f"{LLAMA_GUARD}/model-00001-of-00004.safetensors",
)
VIDEO_GUARDRAIL = (
    "nvidia/Cosmos-Guardrail1/video_content_safety_filter/safety_filter.pt",
    "nvidia/Cosmos-Guardrail1/face_blur_filter/Resnet50_Final.pth",
)
UPSAMPLER = "nvidia/Cosmos-UpsamplePrompt1-12B-Transfer"
HUB = {
    "depth": ("models--depth-anything--Depth-Anything-V2-Small-hf",),
    "seg": ("models--IDEA-Research--grounding-dino-tiny", "models--facebook--sam2-hiera-large"),
}


def there(path: Path) -> bool:
    """Whether this is a file with something in it, or a folder with something in it."""
    if path.is_dir():
        return any(path.iterdir())
    return path.is_file() and path.stat().st_size > 0


def need(checkpoint_dir: str, *names: str) -> None:
    """FileNotFoundError for the first of these files that is absent or empty."""
    for name in names:
        path = Path(checkpoint_dir, name)
        if not there(path):
            raise missing(str(path))
