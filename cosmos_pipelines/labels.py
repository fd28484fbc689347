"""The labels of our engines for users, which a listing shows without loading an engine."""

from __future__ import annotations

from typing import Final

LABELS: Final = {
    "preview": "PREVIEW (simulated on the CPU)",
    "cosmos_transfer1": "Cosmos-Transfer1",
    "cosmos_transfer2_5": "Cosmos-Transfer2.5",
    "cosmos3": "Cosmos 3",
}
