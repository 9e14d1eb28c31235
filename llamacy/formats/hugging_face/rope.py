"""Rotary positions, as config.json has them.

Newer files have all settings in `rope_parameters`; older ones have `rope_theta`, and
its scaling in `rope_scaling`. The GGUF keys are those that llama.cpp's converter
writes.
"""

from __future__ import annotations

import logging
from typing import Final

from llamacy.config import family_rules
from llamacy.formats.gguf.limits import (
    MAX_FREQ_BASE,
    MAX_HEAD_DIM,
    MAX_SCALE,
    MIN_SCALE,
)
from llamacy.formats.hugging_face import gemma4, latent
from llamacy.formats.hugging_face.common_keys import WHOLE, WINDOWED
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.rope_scaling import (
    Divisors,
    Rotations,
    add_scaling,
)
from llamacy.formats.hugging_face.sizes import Sizes
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

_N_SECTIONS: Final = 4  # time, height, width, and one that nobody uses
_LEAST_BASE: Final = 1.0001

_logger = logging.getLogger("llamacy")


def add_rope(
    config: JsonObject, family: Family, sizes: Sizes, metadata: Metadata
) -> Divisors:
    """Add the keys about rotary positions; return the tensors about them, if any.

    Raises
    ------
    FormatError
        A value is wrong or missing.
    UnsupportedError
        An unknown kind of scaling, or an unknown part of one.
    """
    prefix = f"{family.architecture}.rope"
    rules = family_rules(family.architecture)
    if rules.has_learned_positions or rules.alibi_bias or not sizes.head_dim:
        return {}
    has_two = "rope_local_base_freq" in config.values
    rope = _of_whole_layers(config) if has_two else _parameters(config)
    base = _base(config, rope)
    if family.bases and family.bases in config:
        base = _add_pattern(config, family, sizes, metadata)
    kind = rope.text("rope_type", rope.text("type", "default"))
    if family.sections and kind == "mrope":
        kind = "default"
    n_dims = _n_dims(config, family, rope, kind, sizes.head_dim)
    if family.has_alpha and kind == "dynamic" and "alpha" in rope:
        base, kind = _base_with_alpha(rope, base, n_dims), "default"
    metadata.integer(f"{prefix}.dimension_count", n_dims)
    metadata.real(f"{prefix}.freq_base", base)
    _add_sections(rope, family, metadata)
    is_needed = family.architecture in latent.ALIKE  # by transformers
    if family.query_growth and (family.query_growth in rope or is_needed):
        if kind != "yarn":
            rope.refuse("rope_type", f"yarn beside {family.query_growth}", kind)
        growth = rope.real(family.query_growth, MIN_SCALE, MAX_SCALE)
        metadata.real(f"{family.architecture}.attention.temperature_scale", growth)
    if has_two:
        _add_local(config, family, sizes, base, metadata)
    if family.has_proportional_rope:
        return {"rope_freqs.weight": gemma4.rope_divisors(rope, n_dims)}
    unscaled = Rotations(rope, kind, n_dims, base)
    return add_scaling(config, unscaled, family, sizes, metadata)


def _add_sections(rope: JsonObject, family: Family, metadata: Metadata) -> None:
    """Add the sections of a family that sees images; they change nothing for texts."""
    if not family.sections:
        return
    key = "mrope_section"
    sections = list(rope.items(key) if key in rope else family.sections)
    if len(sections) > _N_SECTIONS or not all(
        type(each) is int and 0 <= each <= MAX_HEAD_DIM for each in sections
    ):
        wanted = f"up to {_N_SECTIONS} numbers from 0 to {MAX_HEAD_DIM}"
        rope.fail(key, wanted, sections)
    sections += [0] * (_N_SECTIONS - len(sections))
    metadata.integers(f"{family.architecture}.rope.dimension_sections", sections)


def _add_pattern(
    config: JsonObject, family: Family, sizes: Sizes, metadata: Metadata
) -> float:
    """Add which layers have positions; return the base that all of these share."""
    key = family.bases
    bases = config.items(key)
    if len(bases) != sizes.n_layer or not all(
        type(each) in (int, float) and (each == 0 or _LEAST_BASE <= each)
        for each in bases
    ):
        wanted = f"{sizes.n_layer} numbers, 0 or from {_LEAST_BASE}"
        config.fail(key, wanted, bases)
    found = {float(each) for each in bases if each} or {1e4}
    if len(found) > 1 or max(found) > MAX_FREQ_BASE:
        config.refuse(key, "one base, and 0 for layers without positions", bases)
    if not all(bases):
        name = f"{family.architecture}.attention.rope_pattern"
        metadata.flags(name, [bool(each) for each in bases])
    return found.pop()


def _parameters(config: JsonObject) -> JsonObject:
    """Return the object about rotations; an empty one if there is none."""
    for key in ("rope_scaling", "rope_parameters"):
        found = config.child(key)
        if found is not None and (found.values or key == "rope_parameters"):
            return found
    return JsonObject(config.path, {}, "rope_parameters")


def _of_whole_layers(config: JsonObject) -> JsonObject:
    """Return the object about layers without a window, of a family with two bases.

    `rope_parameters` has an object for each kind of layer there, and what stands in it
    beside them is passed over, as in transformers; `rope_scaling` is for these layers.
    """
    scaling, parameters = config.child("rope_scaling"), config.child("rope_parameters")
    own = parameters.child(WHOLE) if parameters is not None else None
    if scaling is not None and scaling.values:
        merged = {**(own.values if own is not None else {}), **scaling.values}
        return JsonObject(config.path, merged, "rope_scaling")
    if own is not None:
        return own
    if parameters is not None and not parameters.values.keys() <= {WINDOWED, WHOLE}:
        _logger.warning(
            "%s: rope_parameters: wanted an object for %s and one for %s; the keys "
            "outside them are passed over",
            config.path,
            WHOLE,
            WINDOWED,
        )
    return JsonObject(config.path, {}, "rope_parameters")


def _base_with_alpha(rope: JsonObject, base: float, n_dims: int) -> float:
    """Return Hunyuan's base, which a constant makes larger for texts of any length."""
    alpha = rope.real("alpha", MIN_SCALE, MAX_SCALE)
    base *= alpha ** (n_dims / max(1, n_dims - 2))
    if not _LEAST_BASE <= base <= MAX_FREQ_BASE:
        rope.fail("alpha", f"a base of at most {MAX_FREQ_BASE:g}", base)
    return base


def _base(config: JsonObject, rope: JsonObject) -> float:
    holder = rope if "rope_theta" in rope else config
    return holder.real("rope_theta", _LEAST_BASE, MAX_FREQ_BASE)


def _add_local(
    config: JsonObject, family: Family, sizes: Sizes, base: float, metadata: Metadata
) -> None:
    """Add the base of layers with a window, if it is not the family's default.

    Where parts of heads may be rotated, these layers have a number of their own.
    """
    usual = family_rules(family.architecture).local_freq_base or base
    local = (config.child("rope_parameters") or config).child(WINDOWED)
    holder, key = config, "rope_local_base_freq"
    if local is not None:
        kind = local.text("rope_type", local.text("type", "default"))
        if kind != "default":
            local.refuse("rope_type", "default", kind)
        if "rope_theta" in local:
            holder, key = local, "rope_theta"
    if family.has_partial_rope:
        rope = local or JsonObject(config.path, {}, "rope_parameters")
        n_dims = _n_dims(config, family, rope, "default", sizes.head_dim)
        metadata.integer(f"{family.architecture}.rope.dimension_count_swa", n_dims)
    found = holder.real(key, _LEAST_BASE, MAX_FREQ_BASE)
    if found != usual:
        metadata.real(f"{family.architecture}.rope.freq_base_swa", found)


def _n_dims(
    config: JsonObject, family: Family, rope: JsonObject, kind: str, head_dim: int
) -> int:
    """Count the dimensions of a head that are rotated.

    Some classes may rotate a part of them. Others pass the key over where rotations
    are not scaled, and cannot be run where they are.
    """
    key = "partial_rotary_factor"
    holder = rope if key in rope else config
    if kind == "proportional":
        return head_dim
    n_dims = int(holder.real(key, 0.0, 1.0, 1.0) * head_dim)
    if family.has_partial_rope:
        if n_dims < 2 or n_dims % 2:
            wanted = "an even number of dimensions, at least 2"
            holder.fail(key, wanted, f"{n_dims} of {head_dim}")
        return n_dims
    if n_dims != head_dim:
        if kind != "default":
            holder.refuse(key, "1 beside a scaling", n_dims / head_dim)
        _logger.warning(
            "%s: %s passed over: the class rotates whole heads", config.path, key
        )
    return head_dim
