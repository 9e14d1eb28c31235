"""Chooses the GGUF files of a repository that a name stands for.

A repository may have a model in many types, each as one file or split into several,
beside GGUF files that are not models.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from llamacy.errors import ArgumentError
from llamacy.hub.names import HubName

PREFERENCE = (
    "Q4_K_M",
    "Q4_K_S",
    "IQ4_NL",
    "IQ4_XS",
    "Q4_0",
    "Q4_1",
    "MXFP4",
    "NVFP4",
    "Q5_K_M",
    "Q5_K_S",
    "Q5_0",
    "Q5_1",
    "Q6_K",
    "Q8_0",
    "Q3_K_L",
    "Q3_K_M",
    "Q3_K_S",
    "Q2_K",
    "Q2_0",
    "Q1_0",
    "F16",
    "BF16",
    "F32",
)
"""Types in order of preference for a name without a type: about 4 bits, then finer
ones, then coarser ones, then floats."""

_N_NAMED = 24  # models named in an error
_SPLIT = re.compile(r"(.*)-([0-9]{5})-of-([0-9]{5})\.gguf", re.I | re.S)
_TYPE = re.compile(
    r"(?:^|[-._/])((?:UD-)?(?:"
    r"I?Q[1-8]_(?:[01](?:_[48]_[48])?|K(?:_(?:XS|S|M|L|XL|XXL))?|NL|XXS|XS|XL|S|M|L)"
    r"|TQ[12]_0|MXFP4|NVFP4|BF16|FP?16|FP?32))(?=[-._/]|$)",
    re.I,
)
_NOT_A_MODEL = re.compile(r"mmproj|imatrix", re.I)


@dataclass(frozen=True)
class RepoModel:
    """A model among a repository's files.

    Attributes
    ----------
    files : tuple of str
        Paths in the repository; for a split model all parts, in order.
    type : str or None
        Type of the weights by the files' names, such as `"Q4_K_M"`; None if unknown.
    is_folder : bool
        Whether the files are a folder of safetensors rather than GGUF.
    """

    files: tuple[str, ...]
    type: str | None
    is_folder: bool = False

    def path_in(self, snapshot: Path) -> Path:
        """Return the path of the first file on disk, or of the folder."""
        return snapshot if self.is_folder else snapshot / self.files[0]


def models_among(files: Iterable[str]) -> list[RepoModel]:
    """Group the GGUF files of a repository into models, sorted by name.

    Split models that lack a part are left out.
    """
    splits: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    models = []
    for file in files:
        if match := _SPLIT.fullmatch(file):
            splits[match[1], match[3]][int(match[2])] = file
        elif file.lower().endswith(".gguf"):
            models.append(RepoModel((file,), _type_of(file[: -len(".gguf")])))
    for (stem, count), parts in splits.items():
        numbers = sorted(parts)
        if len(numbers) == int(count) and numbers == list(range(1, len(numbers) + 1)):
            ordered = tuple(parts[number] for number in numbers)
            models.append(RepoModel(ordered, _type_of(stem)))
    return sorted(models, key=lambda model: model.files)


def _type_of(stem: str) -> str | None:
    """Return the last type that a path without its extension names; None if none."""
    found = _TYPE.findall(stem)
    return re.sub("^FP", "F", found[-1].upper()) if found else None


def without_type(stem: str) -> str:
    """Return a name without the types of weights in it.

    >>> without_type("Qwen3-4B-Q4_K_M.gguf")
    'Qwen3-4B.gguf'
    """
    return _TYPE.sub("", stem)


def _is_plain(model: RepoModel) -> bool:
    """Whether it is a whole model, not a vision projector or an importance matrix."""
    return not _NOT_A_MODEL.search(model.files[0])


def matching(models: Sequence[RepoModel], name: HubName) -> list[RepoModel]:
    """Return the models that `name` may stand for."""
    if name.file is not None:
        return [model for model in models if name.file in model.files]
    models = [model for model in models if _is_plain(model)]
    if name.variant is not None:
        wanted = _type_of(name.variant) or name.variant.upper()
        # a plain type also matches Unsloth's dynamic one, if nothing else does
        exact = [model for model in models if model.type == wanted]
        found = exact or [model for model in models if model.type == f"UD-{wanted}"]
        return _once(found)
    for type_name in PREFERENCE:
        if found := [model for model in models if model.type == type_name]:
            return _once(found)
    return models


def _once(models: list[RepoModel]) -> list[RepoModel]:
    """Leave out a model in several files that is also there in one of that name."""
    files = {model.files[0] for model in models}
    return [
        each
        for each in models
        if _SPLIT.sub(r"\1.gguf", each.files[0]) not in (files - {each.files[0]})
    ]


def only(found: Sequence[RepoModel], name: HubName) -> RepoModel:
    """Return the only model in `found`.

    Raises
    ------
    ArgumentError
        `found` has several models; the error names them.
    """
    if len(found) > 1:
        raise ArgumentError(
            f"{name}: more than one model may be meant; wanted one of "
            + listed(names_of(found, name))
        )
    return found[0]


def names_of(models: Sequence[RepoModel], name: HubName) -> list[str]:
    """Return an unambiguous name for each of the models of `name`'s repository."""
    if any(model.is_folder for model in models):  # the repository's only model
        return [str(HubName(name.repo, name.revision))]
    plain = [model.type for model in models if _is_plain(model)]
    prefix = HubName(name.repo, name.revision)
    return [
        f"{prefix}:{model.type}"
        if _is_plain(model) and plain.count(model.type) == 1 and model.type
        else str(HubName(name.repo, name.revision, file=model.files[0]))
        for model in models
    ]


def listed(names: Sequence[str]) -> str:
    """Return names for an error: the first few, and the number of others."""
    more = len(names) - _N_NAMED
    shown = ", ".join(names[:_N_NAMED]) or "none"
    return f"{shown} and {more} more" if more > 0 else shown
