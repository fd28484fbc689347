"""Write all runs or prompts to a file, for a spreadsheet or a notebook."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from cosmos_pipelines.catalog.records import Prompt, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError, DiskFull, InputError, shown
from cosmos_pipelines.files import write_text

What = Literal["runs", "prompts"]
Form = Literal["csv", "json"]

RUN_COLUMNS: Final = (*Run.__dataclass_fields__, "duration_s")


def export(catalog: Catalog, what: What, path: Path) -> int:
    """Write all runs or prompts, newest first, to a .csv or .json file; return their number.

    In CSV, lists and mappings are JSON text. The file appears only when it is complete.

    Raises:
        InputError: another kind of file, or the file cannot be written.
        DiskFull: no room for the file.
    """
    if path.suffix.lower() not in (".csv", ".json"):
        raise InputError(
            f"{shown(path.name)} is neither .csv nor .json.", hint="Name the file after its format."
        )
    records: list[Run] | list[Prompt]
    if what == "runs":
        records = catalog.list_runs(limit=None)
        columns = RUN_COLUMNS
    else:
        records = catalog.list_prompts(limit=None)
        columns = (*Prompt.__dataclass_fields__,)
    form: Form = "csv" if path.suffix.lower() == ".csv" else "json"
    _write(path, _text(records, columns, form))
    return len(records)


def runs_as(form: Form, records: Sequence[Run]) -> str:
    """Return runs as the text of a .csv or .json file."""
    return _text(records, RUN_COLUMNS, form)


def _text(records: Sequence[Run | Prompt], columns: Sequence[str], form: Form) -> str:
    rows = [record.as_dict() for record in records]
    return _csv(rows, columns) if form == "csv" else _json(rows, columns)


def _csv(rows: list[dict[str, Any]], columns: Sequence[str]) -> str:
    flat = [
        {k: _json_text(v) if isinstance(v, dict | list) else v for k, v in row.items()}
        for row in rows
    ]
    return str(_frame(flat, columns).to_csv(index=False))


def _json(rows: list[dict[str, Any]], columns: Sequence[str]) -> str:
    frame = _frame(rows, columns)
    return str(frame.to_json(orient="records", indent=2, force_ascii=False, double_precision=15))


def _frame(rows: list[dict[str, Any]], columns: Sequence[str]) -> Any:
    import pandas as pd

    # dtype=object: otherwise an exit code in a column with an empty cell becomes 0.0
    return pd.DataFrame(rows, columns=[*columns], dtype=object)


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _write(path: Path, text: str) -> None:
    try:
        write_text(path, text)
    except DiskFull:
        raise
    except CosmosError as e:  # the user has chosen the path
        raise InputError(e.message) from e
