"""The queue of a model, looked at before a request's prompt is tokenized."""

from __future__ import annotations

from llamacy.errors import ArgumentError
from llamacy.model.model import Model


def check_capacity(model: Model, n_texts: int = 1, field: str = "n") -> None:
    """Check that a model's queue can take the texts of a request.

    Refusing one must cost less than answering it: many come at once where there is no
    room. A request that could not be taken even if nobody else had any is a mistake:
    its client would come again, for ever.

    Parameters
    ----------
    model : Model
        The model.
    n_texts : int, default 1
        Texts that the request begins together.
    field : str, default "n"
        The field at fault where they are too many.

    Raises
    ------
    BusyError
        The queue is full now.
    ArgumentError
        More texts than may run and wait at once.
    """
    worker = model.engine.worker
    most = worker.n_capacity
    if most is not None and n_texts > most:
        raise ArgumentError(
            f"{field}: wanted at most {most} texts, which may run and wait at once "
            f"(llamacy serve --max-waiting), found {n_texts}"
        )
    worker.check_room()
