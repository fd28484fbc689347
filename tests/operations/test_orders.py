"""Orders as plain data: what is filled into their words and documents, and what is not."""

from __future__ import annotations

import json

from cosmos_pipelines.operations import Order
from cosmos_pipelines.operations.base import RUN_FOLDER, as_document

CODE = 'print(f"{run} {python}")\n'


def order(**fields: object) -> Order:
    """An order with these fields."""
    plain = {"id": "o", "run_ids": (), "engine": "e", "model_type": "transfer", "inputs": {}}
    return Order.model_validate({**plain, "argv": (), "expected": (), **fields})


def test_the_run_folder_is_filled_into_documents_but_not_into_programs() -> None:
    told = as_document({"in": f"{RUN_FOLDER}/inputs"})
    documents = {"request.json": told, "program.py": CODE, "other.py": CODE}
    texts = order(documents=documents, programs=("program.py",)).texts('/a "run"')
    assert json.loads(texts["request.json"]) == {"in": '/a "run"/inputs'}
    assert texts["program.py"] == CODE
    assert texts["other.py"] != CODE


def test_an_order_comes_back_from_its_record_as_it_was() -> None:
    before = order(documents={"program.py": CODE}, programs=("program.py",))
    assert Order.model_validate_json(before.model_dump_json()) == before
