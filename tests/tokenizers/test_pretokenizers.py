"""All pre-tokenizers can be built, and split texts differently where they should."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import Regex, pre_tokenizers

from llamacy.errors import UnsupportedError
from llamacy.tokenizers import tokenizer_from_metadata
from llamacy.tokenizers.pretokenizers import CHARACTER_PRES, PRETOKENIZERS

_TEXT = """\
Hello  World, it's I'LL 1234567 x2y ½ ²³\r\n\n\tcamelCase ÄÖ-straße Что ἄνθρωπος
   ...!!!  $5.00+5€  我想在apple工作1314151天～ か゚なカナ 한국어 ไทย é e\u0301 🙂👍🏽 \
(a|b).c,d؟ <sentinel:3> <x> \u00a0\u3000end   """

# every name of tokenizer.ggml.pre in common use
_WANTED = """
llama-bpe llama3 llama-v3 qwen2 gpt-2 smollm deepseek-llm deepseek-coder deepseek-v3
deepseek-r1-qwen falcon falcon3 starcoder refact command-r mpt olmo tekken gpt-4o llama4
default stablelm2 dbrx smaug-bpe chatglm-bpe glm4 phi-2 jais exaone minerva-7b viking
bloom poro-chat codeshell chameleon pixtral qwen35 kimi-k2 seed-coder bailingmoe
hunyuan hunyuan-dense superbpe trillion minimax-m2 grok-2 afmoe youtu tiny_aya glm5
""".split()


def _cut(name: str, text: str) -> list[str]:
    pieces = [text]
    for pattern in PRETOKENIZERS[name].patterns:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        pieces = [part for piece in pieces for part, _ in split.pre_tokenize_str(piece)]
    return pieces


def test_all_names_in_common_use_are_known() -> None:
    assert set(_WANTED) <= PRETOKENIZERS.keys()


@pytest.mark.parametrize("name", sorted(PRETOKENIZERS))
def test_the_pieces_add_up_to_the_text(
    name: str, bpe_metadata: Callable[..., Any]
) -> None:
    assert "".join(_cut(name, _TEXT)) == _TEXT
    tokenizer = tokenizer_from_metadata(bpe_metadata(pre=name), "x.gguf")
    assert tokenizer.decode(tokenizer.encode(_TEXT)) == _TEXT


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("gpt-2", "it's  so 123 a\n\nb", "it|'s| | so| 123| a|\n|\n|b"),
        ("gpt-2", "IT'S", "IT|'|S"),
        ("llama-bpe", "IT'S 12345\n\n  x", "IT|'S| |123|45|\n\n| | x"),
        ("llama-bpe", "a(b) ...\n", "a|(b|)| ...\n"),
        ("qwen2", "x=123", "x|=|1|2|3"),
        ("smollm", "a 12", "a| |1|2"),
        ("starcoder", "a 12's", "a| |1|2|'s"),
        ("falcon", "a+b1234", "a|+|b|123|4"),
        ("default", "a+b 1234", "a|+|b| |123|4"),
        ("deepseek-llm", "我a\r\nB 12", "我|a|\r|\n|B| |12"),
        # its second class of signs, ":-~", includes ASCII letters
        ("deepseek-llm", "été abc ա Ա", "é|t|é| abc| ա| Ա"),
        ("deepseek-coder", "f(x) 12", "f|(|x|)| |1|2"),
        ("deepseek-v3", ".x 我か1234 .x", ".x| |我か|123|4| .|x"),
        ("tekken", "camelCase12", "camel|Case|1|2"),
        ("tekken", "приветМир", "привет|Мир"),
        ("gpt-4o", "HTMLParser's 1234", "HTMLParser's| |123|4"),
        ("gpt-4o", "getURL", "get|URL"),
        ("tiny_aya", "1234567", "1|234|567"),
        ("superbpe", "by the way 1234", "by the way |1|234"),
        ("afmoe", "12345 a", "12|345| a"),
        ("kimi-k2", "a我想b", "a|我想|b"),
        ("bloom", "a, b", "a|,| b"),
        ("viking", "a12", "a|1|2"),
        ("jais-2", "a     b", "a|    | b"),
        ("chameleon", "a\tb  c", "a|\t|b|  |c"),
        ("command-r", "12 a", "1|2| a"),
        ("ufakzeka", "a's", "a|'s"),
        ("exaone-moe", "a b c1", "a b c|1"),
        ("minicpm5", "x1234", "x|123|4"),
    ],
)
def test_each_pre_tokenizer_splits_at_its_own_places(
    name: str, text: str, wanted: str
) -> None:
    assert _cut(name, text) == wanted.split("|")


def test_an_unknown_pre_tokenizer_is_refused_and_known_ones_are_listed(
    bpe_metadata: Callable[..., Any],
) -> None:
    with pytest.raises(UnsupportedError) as caught:
        tokenizer_from_metadata(bpe_metadata(pre="gemma3"), "x.gguf")
    assert caught.value.field == "tokenizer.ggml.pre"
    assert caught.value.found == "gemma3"
    known = (*PRETOKENIZERS, *CHARACTER_PRES)
    assert all(name in str(caught.value) for name in known)
