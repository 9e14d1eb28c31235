r"""A table of pre-tokenizers, which split text into words for byte-level BPE.

Merges never cross the end of a word, so a vocabulary works well only with the
pre-tokenizer it was trained with, which `tokenizer.ggml.pre` names. The names are
llama.cpp's; the patterns are those of the models' own tokenizers, in Oniguruma's
syntax.

Patterns are applied one after the other: each splits all pieces so far into its matches
and the texts between them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PreTokenizer:
    """One way of splitting text into words.

    Attributes
    ----------
    patterns : tuple of str
        Regular expressions, applied in turn.
    ignore_merges : bool
        Whether a word that is a token becomes that token without merging.
    add_bos : bool
        Whether text begins with BOS if the file does not state it.
    """

    patterns: tuple[str, ...]
    ignore_merges: bool = False
    add_bos: bool = False


# -- parts of patterns ---------------------------------------------------------------

_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_ONE_BEFORE = r"[^\r\n\p{L}\p{N}]?"  # a space, mostly
_PUNCTUATION = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_LINE_ENDS = r"\s*[\r\n]+"
# the last of several spaces is left to the following word
_SPACES = r"\s+(?!\S)|\s+"
_UP_TO_3 = r"\p{N}{1,3}"


def _any_of(*alternatives: str) -> str:
    return "|".join(part for part in alternatives if part)


def _words(
    digits: str, *, contraction: str = _CONTRACTION, spaces: str = _SPACES
) -> str:
    """Return a pattern like OpenAI's cl100k: words take one character before them."""
    letters = _ONE_BEFORE + r"\p{L}+"
    return _any_of(contraction, letters, digits, _PUNCTUATION, _LINE_ENDS, spaces)


def _cased_words(
    digits: str,
    *,
    contraction: str = "",
    first: str = "",
    outside: str = "",
    punctuation: str = r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
) -> str:
    """Return a pattern like OpenAI's o200k: words end before a change to upper case."""
    upper = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}" + outside + "]"
    lower = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}" + outside + "]"
    end = f"{contraction}?" if contraction else ""
    return _any_of(
        first,
        f"{_ONE_BEFORE}{upper}*{lower}+{end}",
        f"{_ONE_BEFORE}{upper}+{lower}*{end}",
        digits,
        punctuation,
        _LINE_ENDS,
        _SPACES,
    )


def _groups_of_3(digit: str, end: str) -> str:
    """Return a pattern for groups of three digits from the right, as in 1,234,567."""
    return f"{digit}{{1,3}}(?=(?:{digit}{{3}})*{end})"


# -- patterns ------------------------------------------------------------------------

_GPT2 = _any_of(
    r"'s|'t|'re|'ve|'m|'ll|'d", r" ?\p{L}+", r" ?\p{N}+", r" ?[^\s\p{L}\p{N}]+", _SPACES
)
_LLAMA3 = _words(_UP_TO_3)
_QWEN2 = _words(r"\p{N}")
_O200K = _cased_words(_UP_TO_3, contraction=_CONTRACTION)
_LINES = r"[^\n]+|[\n]+"
_BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"

_DEEPSEEK_HAN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
_HAN_KANA = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
# cased letters: Latin, Greek, Cyrillic, Armenian, Georgian, Cherokee, letterlike
# symbols, Glagolitic, Coptic, their extensions and full-width forms, and six scripts
# outside the Basic Multilingual Plane
_CASED = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293"
    "\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a"
    "\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556"
    "\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf"
    "\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d"
    "\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d"
    "\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3"
    "\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113"
    "\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139"
    "\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4"
    "\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787"
    "\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
    "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb"
    "\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df"
    "\U0001e900-\U0001e943"
)
_WIDE_PUNCTUATION = "!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002"
_DEEPSEEK_LLM = (
    r"[\r\n]",
    rf"\s?[{_CASED}]+",
    rf"\s?[{_WIDE_PUNCTUATION}]+",
    r"\s+$",
    _DEEPSEEK_HAN,
    r"\p{N}+",
)
_DEEPSEEK_CODER = (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _DEEPSEEK_HAN, r"\p{N}")

_ASCII_SIGN = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"""
_DEEPSEEK3_LETTERS = _any_of(
    _ASCII_SIGN + "[A-Za-z]+", r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
)
_DEEPSEEK3_WORDS = _any_of(
    _DEEPSEEK3_LETTERS, r" ?[\p{P}\p{S}]+[\r\n]*", _LINE_ENDS, _SPACES
)
_DEEPSEEK3 = (_UP_TO_3, _HAN_KANA, _DEEPSEEK3_WORDS)
_SPARK = (
    _UP_TO_3,
    _HAN_KANA,
    _any_of(_DEEPSEEK3_LETTERS, r" ?[\p{P}\p{S}]+", r"[\r\n]", _SPACES),
    r"\p{N}",
)

_ASIAN_SCRIPTS = (
    "[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f"
    "\u2f00-\u2fdf\u0e00-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f"
    "\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff]+"
)
_YOUTU = (
    "[\uac00-\ud7a3\u3131-\u318e]+|[！…“”‘’—：；，\u3001-\u303f\ufe30-\ufe4f]+"
    "|[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    _cased_words(r"\p{N}", contraction=_CONTRACTION),
)
_CHAMELEON = (
    r"<sentinel:[0-9]+>",
    r"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
    r"([\t\n]|    |  )",
    r"\p{N}",
    r"[\p{P}!-/:-@\[-`{-~]",
    _GPT2,
)
_EXAONE_MOE = _any_of(
    _CONTRACTION,
    _ONE_BEFORE + r"(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+",
    r"\p{N}",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]?",
    r"\s*[\r\n]",
    _SPACES,
)
_QWEN35 = _any_of(
    _CONTRACTION,
    _ONE_BEFORE + r"[\p{L}\p{M}]+",
    r"\p{N}",
    r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*",
    _LINE_ENDS,
    _SPACES,
)
_BAILING = _any_of(
    r"'(?i:[sdmt]|ll|ve|re)",
    _ONE_BEFORE + r"\p{L}+",
    r"\p{N}",
    _PUNCTUATION,
    r"\s*[\r\n]",
    _SPACES,
)
_SEED = _any_of(
    _CONTRACTION,
    _ONE_BEFORE + r"\p{L}+",
    r"\p{N}",
    r" ?[^\s\p{L}\p{N}\r\n]+",
    _LINE_ENDS,
    _SPACES,
)
_KIMI_K2 = _cased_words(
    _UP_TO_3,
    contraction=_CONTRACTION,
    first=r"\p{Han}+",
    outside=r"&&[^\p{Han}]",
    punctuation=_PUNCTUATION,
)
_JAIS2_SPACES = _any_of(
    *(rf"\s{{{n}}}(?!\S)" for n in (512, 256, 128, 64, 32, 16, 8, 4)),
    r"\s{1,2}(?!\S)",
    r"\s",
)

# -- names ---------------------------------------------------------------------------

_KINDS: list[tuple[PreTokenizer, str]] = [
    (
        PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]")),
        "default",
    ),
    (
        PreTokenizer((_LLAMA3,), ignore_merges=True, add_bos=True),
        "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 "
        "jina-v5-nano",
    ),
    (PreTokenizer((_LLAMA3,)), "dbrx smaug-bpe chatglm-bpe"),
    (PreTokenizer((_LLAMA3,), ignore_merges=True), "glm4 glm5"),
    (
        PreTokenizer((_QWEN2,)),
        "qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan "
        "solar-open grok-2",
    ),
    (
        PreTokenizer((_GPT2,)),
        "gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de jina-v1-en "
        "jina-v2-code roberta-bpe gigachat a.x-4.0 mellum modern-bert mpt olmo "
        "jais exaone4 trillion granite-docling",
    ),
    (
        PreTokenizer((r"\p{N}", _GPT2)),
        "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2",
    ),
    (PreTokenizer((r"[\p{P}\$\+<=>\^~\|`]+", _GPT2, "[0-9][0-9][0-9]")), "falcon"),
    (PreTokenizer(_DEEPSEEK_LLM), "deepseek-llm"),
    (PreTokenizer(_DEEPSEEK_CODER), "deepseek-coder"),
    (PreTokenizer(_DEEPSEEK3), "deepseek-v3 hunyuan-dense hy_v4 joyai-llm"),
    (
        PreTokenizer((_cased_words(r"\p{N}"),), ignore_merges=True, add_bos=True),
        "tekken",
    ),
    (PreTokenizer((_O200K,)), "gpt-4o llama4 kanana2 talkie minimax-m2"),
    (PreTokenizer((_O200K,), ignore_merges=True), "granite-embed-multi-97m"),
    (PreTokenizer((_groups_of_3(r"\d", r"\b"), _O200K)), "tiny_aya cohere2moe"),
    (PreTokenizer((_QWEN35,)), "qwen35"),
    (PreTokenizer((_BLOOM,)), "bloom gpt3-finnish poro-chat"),
    (PreTokenizer((_BLOOM, r"\p{N}")), "viking"),
    (PreTokenizer(_CHAMELEON, add_bos=True), "chameleon"),
    (PreTokenizer((_EXAONE_MOE,)), "exaone-moe"),
    (PreTokenizer((_BAILING,)), "bailingmoe bailingmoe2 llada-moe"),
    (PreTokenizer((_SEED,)), "seed-coder"),
    (PreTokenizer((_KIMI_K2,)), "kimi-k2"),
    (PreTokenizer((_words(r"\p{N}", contraction=""),)), "ufakzeka"),
    (PreTokenizer((_LINES, _QWEN2)), "laguna"),
    (PreTokenizer((_UP_TO_3, _words(r"\p{N}+")), ignore_merges=True), "minicpm5"),
    (PreTokenizer((_words(_UP_TO_3, spaces=_JAIS2_SPACES),)), "jais-2"),
    (PreTokenizer(_YOUTU, ignore_merges=True), "youtu"),
    (PreTokenizer(_SPARK), "spark2_5"),
    (PreTokenizer((r"\p{N}+", _groups_of_3(r"\d", r"(?!\d)"))), "superbpe"),
    (
        PreTokenizer(
            (_groups_of_3(r"\p{N}", r"(?!\p{N})"), _ASIAN_SCRIPTS, _DEEPSEEK3_WORDS)
        ),
        "afmoe",
    ),
]

PRETOKENIZERS: dict[str, PreTokenizer] = {
    name: kind for kind, names in _KINDS for name in names.split()
}
"""Pre-tokenizers by their names in `tokenizer.ggml.pre`."""

CHARACTER_PRES = ("gemma4", "granite-embed-multi-311m", "sarvam-moe", "whitespace")
"""Names of BPE on characters (`llamacy.tokenizers.character_bpe`), without patterns."""
