"""Files that explain a segmentation: which JSON files belong to which pictures. By names alone."""

from __future__ import annotations

from pathlib import Path

from cosmos_pipelines.media.layouts.stems import same
from cosmos_pipelines.media.layouts.tools import LABELS
from cosmos_pipelines.media.layouts.tree import Folder
from cosmos_pipelines.media.numbering import sequences
from cosmos_pipelines.media.pass_names import is_pass_word


def labels_of(folder: Folder, words: str) -> tuple[Path, ...]:
    """The JSON files that lie with pictures called `words`, in the order of their numbers.

    They are called as the pictures and a word of LABELS (`semantic_segmentation_labels_0000.json`),
    or by such words and those of passes alone (`labels.json`).
    """
    own = set(same(words).split("_"))
    found: list[Path] = []
    for one in sequences(entry.name for entry in folder.labels):
        said = set(same(f"{one.before} {one.after}".rpartition(".")[0]).split("_"))
        rest = said - own - LABELS
        as_pictures = own <= said and not rest
        by_itself = said & LABELS and not any(not is_pass_word(w) for w in rest)
        if as_pictures or (by_itself and not said - LABELS - own):
            found += [folder.path / name for name in one.names]
    return tuple(found)
