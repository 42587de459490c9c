"""The models that run here, and which of them a collection goes by: vectors of two never meet."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from app.entities import Contract
from app.errors import ContractMismatch
from app.gallery.vectors import checked_threshold
from app.store import collection_rows
from app.store.collection_rows import CollectionRow

R = TypeVar("R")


@dataclass(frozen=True)
class ServedModel:
    contract: Contract
    threshold: float  # where neither the call nor the collection has one

    def limit(self, row: CollectionRow, of_call: float | None) -> float:
        """The call's, else the collection's if it is for this model's scores, else the model's."""
        own = row.entity.threshold if row.entity.contract == self.contract.id else None
        for threshold in (checked_threshold(of_call), own):
            if threshold is not None:
                return threshold
        return self.threshold


def agreed(contract_of: Callable[[], Contract], work: Callable[[Contract], R]) -> R:
    """`work` by the contract of a collection; once more, if that has changed meanwhile."""
    contract = contract_of()
    while True:
        try:
            return work(contract)
        except ContractMismatch:
            before, contract = contract, contract_of()
            if contract == before:
                raise


class ServedModels:
    """The one of new collections, and the one before it where that is loaded too."""

    def __init__(self, main: ServedModel, previous: ServedModel | None = None) -> None:
        self.main = main
        self._by_id = {model.contract.id: model for model in (main, previous) if model}

    @property
    def several(self) -> bool:
        return len(self._by_id) > 1

    def __contains__(self, contract: str) -> bool:
        return contract in self._by_id

    def of(self, connection: Connection, row: CollectionRow) -> ServedModel:
        """A collection without faces goes over to the main one."""
        held = row.entity.contract
        if held == self.main.contract.id or not collection_rows.has_faces(connection, row.key):
            return self.main
        if held in self._by_id:
            return self._by_id[held]
        served = self.main.contract
        raise ContractMismatch(
            f"the collection {row.entity.name!r} holds faces of the model {row.model} "
            f"(contract {held}) and the service runs {served.model} (contract {served.id}): "
            "`face reembed` moves it where crops were kept; else delete its people and enrol "
            "their pictures again, or serve it with that model"
        )

    def require(
        self, connection: Connection, row: CollectionRow, made_by: Contract | None
    ) -> ServedModel:
        """The collection's model, if vectors are of it; None is the main one."""
        model, made_by = self.of(connection, row), made_by or self.main.contract
        if model.contract.id != made_by.id:
            raise ContractMismatch(
                f"the collection {row.entity.name!r} goes by the model {model.contract.model} "
                f"(contract {model.contract.id}) and the embedding is of {made_by.model} "
                f"(contract {made_by.id})"
            )
        return model
