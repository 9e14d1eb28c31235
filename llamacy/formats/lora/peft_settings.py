"""The settings of a PEFT adapter: adapter_config.json, each of its keys.

Every key is used, harmless, or refused by name unless it is off. A key that is not
known here is refused as well: it may change what the adapter computes. Source:
`LoraConfig` and `get_pattern_key` of the peft library.
"""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

from llamacy.formats.json_text import JsonObject

USED: Final = frozenset(
    "alora_invocation_tokens alpha_pattern bias ensure_weight_tying init_lora_weights "
    "lora_alpha peft_type target_parameters use_dora use_rslora".split()
)
"""Keys that are read."""

HARMLESS: Final = frozenset(
    # where the adapter comes from, and how it was trained
    "auto_mapping base_model_name_or_path revision task_type inference_mode "
    "peft_version lora_dropout runtime_config megatron_core loftq_config eva_config "
    "corda_config lora_ga_config qalora_group_size unsloth_fixed "
    # which tensors the file has, as the file itself says
    "r rank_pattern target_modules exclude_modules "
    "layers_to_transform layers_pattern modules_to_save "
    # PEFT resets it for linear layers, and for embeddings it changes nothing
    "fan_in_fan_out".split()
)
"""Keys that change nothing in what an adapter computes."""

# Initialisations that leave the model's own weights unchanged.
_INITIALISATIONS: Final = (None, True, False, "gaussian", "eva", "orthogonal")

_DEFAULT_ALPHA: Final = 8.0  # LoraConfig's own
_MAX_ALPHA: Final = 1e9


class Scales(NamedTuple):
    """The factors of an adapter's products.

    Attributes
    ----------
    alpha : float
        Alpha of modules that no pattern is for.
    patterns : tuple
        Regular expressions of names of modules, and their alphas; the first that
        matches counts.
    is_rank_stabilised : bool
        Whether alpha is divided by the root of the rank.
    has_magnitudes : bool
        Whether the adapter sets the norms of rows (DoRA).
    parameters : tuple of str
        Ends of names of parameters that adapters are of. Patterns are for such a name,
        `mlp.gate.weight`, where they otherwise are for the module's.
    """

    alpha: float
    patterns: tuple[tuple[re.Pattern[str], float], ...]
    is_rank_stabilised: bool
    has_magnitudes: bool = False
    parameters: tuple[str, ...] = ()

    def of(self, module: str, rank: int) -> float:
        """Return the factor of one module's product."""
        weight = f"{module}.weight"
        if any(f".{weight}".endswith(f".{each}") for each in self.parameters):
            module = weight
        matching = (each for key, each in self.patterns if key.match(module))
        alpha = next(matching, self.alpha)
        if self.is_rank_stabilised:  # Kalajdzievski 2023, arXiv:2312.03732
            return alpha / math.sqrt(rank)
        return alpha / rank


def read_scales(settings: JsonObject) -> Scales:
    """Check all settings, and return the factors of the products.

    Raises
    ------
    FormatError
        A setting has an invalid value.
    UnsupportedError
        The adapter does more than add ``scale * b @ a`` to matrices, and replace
        embeddings and norms.
    """
    kind = settings.text("peft_type")
    if kind != "LORA":
        settings.refuse("peft_type", "LORA", kind)
    _check_keys(settings)
    if settings.text("bias", "none") != "none":
        settings.refuse("bias", "none", settings.get("bias"))
    initial = settings.get("init_lora_weights")
    if isinstance(initial, dict | list) or initial not in _INITIALISATIONS:
        wanted = "an initialisation that leaves the model's weights unchanged"
        settings.refuse("init_lora_weights", wanted, initial)
    default = None if "lora_alpha" in settings.values else _DEFAULT_ALPHA
    alpha = settings.real("lora_alpha", 0.0, _MAX_ALPHA, default)
    patterns = settings.child("alpha_pattern")
    alphas = (
        ()
        if patterns is None
        else tuple(
            (_pattern(settings, key), patterns.real(key, 0.0, _MAX_ALPHA))
            for key in patterns.values
        )
    )
    parameters = settings.items("target_parameters")
    if not all(isinstance(each, str) for each in parameters):
        settings.fail("target_parameters", "names", parameters)
    return Scales(
        alpha,
        alphas,
        settings.flag("use_rslora", False),
        settings.flag("use_dora", False),
        tuple(parameters),
    )


def _check_keys(settings: JsonObject) -> None:
    """Refuse keys that are neither used nor harmless, unless they are off."""
    for key, value in settings.values.items():
        if key not in USED | HARMLESS and value not in (None, False, "", [], {}):
            settings.refuse(key, "null or false", value)


def _pattern(settings: JsonObject, key: str) -> re.Pattern[str]:
    """Compile a key of `alpha_pattern` as PEFT does."""
    try:
        if _n_ways(key) <= _MAX_WAYS:
            return re.compile(rf"(.*\.)?({key})$")
    except re.error:
        pass
    wanted = "names of modules, or regular expressions of few choices"
    settings.refuse("alpha_pattern", wanted, key)


_MAX_WAYS: Final = 10**6
_LONGEST: Final = 64  # characters of a module's name that a repetition may match
_LONGEST_NUMBER: Final = 9
_TOKEN: Final = re.compile(
    r"(?P<number>\\d|\[0-9\])(?P<digits>[*+?]\??)?"
    r"|(?:\\[^a-zA-Z0-9]|\\[dDwWsS]|\[\^?[^\[\]\\]+\]|[^\\\[\](){}*+?|])(?P<many>[*+?]\??)?"
    r"|(?P<open>\((?:\?[:=!])?)|\)(?P<optional>\??)|(?P<bar>\|)"
)


def _n_ways(key: str) -> float:
    """Count the ways in which a regular expression may try to match a name, at most.

    Repeated groups, whose ways grow exponentially, and what is not understood here
    count as infinitely many.
    """
    ways, at = 1, 0
    branches = [1]  # of the groups that are open
    while at < len(key):
        token = _TOKEN.match(key, at)
        if token is None or ways > _MAX_WAYS:
            return math.inf
        at = token.end()
        if token["number"]:
            ways *= _LONGEST_NUMBER if token["digits"] else 1
        elif token["open"]:
            branches.append(1)
        elif token["bar"]:
            branches[-1] += 1
        elif token["optional"] is not None:
            ways *= branches.pop() * (2 if token["optional"] else 1)
            if not branches:
                return math.inf
        elif token["many"]:
            ways *= _LONGEST
    return math.prod([ways, *branches])
