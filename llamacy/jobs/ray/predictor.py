"""A task for `map_batches` of Ray Data: Arrow batches, and columns of answers."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from typing import Any, Final, Unpack

from llamacy.arguments import checks_options
from llamacy.chat.calls import ChatOptions
from llamacy.errors import ArgumentError
from llamacy.jobs.answering import answers
from llamacy.jobs.columns import ANSWER, ColumnTask
from llamacy.jobs.inputs.parquet import values_of
from llamacy.jobs.ordering import windows
from llamacy.jobs.outputs.parquet import added_arrays, added_fields
from llamacy.jobs.ray.resources import USUAL_TOKENS, needs_of
from llamacy.jobs.ray.worker import LoadArguments
from llamacy.jobs.rows import Row, to_json
from llamacy.model.model import Model

_N_INDEX: Final = 8  # bytes


class Predictor:
    """Answers a prompt for each row of batches, for `map_batches` of Ray Data.

    Ray makes one in each of its actors, which loads the model there with as many
    threads as the actor has CPUs. `resources` tells how many cores and how much memory
    each takes, so that Ray places no more actors on a machine than fit::

        dataset.map_batches(
            Predictor,
            fn_constructor_kwargs={"model": path, "prompt": "Summarise: {text}"},
            batch_format="pyarrow",
            batch_size=256,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=8),
            **Predictor.resources(path),
        )

    Batches are Arrow tables, in which whole numbers beside nulls stay whole. Equal
    prompts get equal answers, with sampling as well: a row's seed follows from the
    fields that the template names, because Ray's batches have no positions.

    Parameters
    ----------
    model : Model, str or os.PathLike
        The model, or a source of one as for `llamacy.load`, on each machine.
    prompt : str
        A template, such as ``"Summarise: {text}"``.
    system : str, optional
        A system message before each prompt.
    raw : bool, optional
        Whether to continue prompts as they are, rather than to answer them; by default
        if the model has no chat template.
    answer : str, default "answer"
        Name of the column of answers, and the beginning of the names beside it, as for
        `llamacy.jobs.run`.
    **options : ChatOptions
        Options of `Model.chat`, or of `Model.generate` for raw prompts.

    Raises
    ------
    ArgumentError
        A bad template or option.
    LlamacyError
        The model cannot be loaded, or is not for the task.

    Examples
    --------
    >>> import pyarrow
    >>> from llamacy.jobs.ray import Predictor
    >>> predict = Predictor(
    ...     "demo", "The capital of {country} is", raw=True, temperature=0
    ... )
    >>> table = predict(pyarrow.table({"country": ["France", "Italy"]}))
    >>> table["answer"].to_pylist()
    [' Paris', ' Rome']
    """

    @checks_options(ChatOptions)
    def __init__(
        self,
        model: Model | str | os.PathLike[str],
        prompt: str,
        *,
        system: str | None = None,
        raw: bool | None = None,
        answer: str = ANSWER,
        **options: Unpack[ChatOptions],
    ) -> None:
        given: dict[str, Any] = {**options}
        seed = given.pop("seed", None) or 0
        task = ColumnTask(
            prompt=prompt,
            system=system,
            raw=raw,
            seed=seed,
            answer=answer,
            options=given,
        )
        # a model of this process is used as it is; Ray pickles one for its actors
        self._model = (
            model if isinstance(model, Model) else LoadArguments.of(model).load()
        )
        self._task = task.fitted(self._model)

    @staticmethod
    def resources(
        model: Model | str | os.PathLike[str],
        *,
        n_tokens: int = USUAL_TOKENS,
        num_cpus: int | None = None,
    ) -> dict[str, Any]:
        """Return what an actor needs, as arguments of `map_batches`.

        Parameters
        ----------
        model : Model, str or os.PathLike
            The model, whose file this machine has, too.
        n_tokens : int, default 1024
            Most tokens of a row, its prompt and its answer.
        num_cpus : int, optional
            Cores of an actor; by default those of the smallest node of the cluster that
            this process is connected to, or of this machine. One actor on a machine
            is as fast as several, and has the weights in memory once.

        Returns
        -------
        dict
            ``num_cpus``, and ``memory`` in bytes: the model's, and that of keys and
            values of the rows that it decodes together.

        Raises
        ------
        ArgumentError
            A number that is out of range.
        LlamacyError
            The model cannot be inspected.

        Examples
        --------
        >>> from llamacy.jobs.ray import Predictor
        >>> needs = Predictor.resources("demo", num_cpus=4)
        >>> needs["num_cpus"], 2**26 < needs["memory"] < 2**28
        (4, True)
        """
        return needs_of(LoadArguments.of(model), n_tokens, num_cpus)._asdict()

    def __call__(self, batch: Any) -> Any:
        """Return a batch with the columns of the answers.

        A row that fails has its error in the place of its answer.

        Parameters
        ----------
        batch : pyarrow.Table
            It has the columns that the template names.

        Returns
        -------
        pyarrow.Table
            The rows in their order, with all their columns.

        Raises
        ------
        ArgumentError
            It is no Arrow table; or a column is missing, or has a result's name.
        """
        import pyarrow

        if not isinstance(batch, pyarrow.Table):
            raise ArgumentError(
                'batch: wanted a pyarrow.Table, of batch_format="pyarrow", found '
                f"{type(batch).__name__}"
            )
        self._task.check_columns(batch.column_names)
        chosen = batch.select(list(self._task.fields))
        values = [each for part in chosen.to_batches() for each in values_of(part)]
        rows = [Row.of(_index(fields), fields) for fields in values]
        places = {id(row): place for place, row in enumerate(rows)}
        results: list[Any] = [None] * len(rows)
        with closing(answers(self._model, self._task, windows(rows))) as each:
            for row, result in each:
                results[places[id(row)]] = result
        added = added_fields(self._task)
        for field, array in zip(added, added_arrays(self._task, results), strict=True):
            batch = batch.append_column(field, array)
        return batch


def _index(fields: Any) -> int:
    """Return a number that follows from a row's fields, as its position."""
    text = to_json({**fields}).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=_N_INDEX).digest(), "big")
