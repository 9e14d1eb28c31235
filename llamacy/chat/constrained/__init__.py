"""Answers that must follow a form: where it begins, and what may come before.

::

    wanted       the caller's demands: a form, tools, `strict`
    choice       `tool_choice`: whether an answer calls tools, and which
    lark         texts and marks in the notation of grammars
    frames       reasoning, headers and the prompt's own beginning, before the answer
    calls        tool calls, as each family writes them
    values       arguments in tags, where texts have no quotes
    nested       arguments in a notation of lists and objects other than JSON's
    notations    Gemma 4's notation, and JSON in tags
    elements     MiniMax M3's notation
    nested_keywords
                 the keywords of schemas that these can follow
    patterns     texts without quotes, as terminals
    bodies       calls, and the text around them
    constraint   all of these together, for one prompt

Reasoning is not constrained: the form begins where the answer begins. That is told by
tokens where the marks around reasoning are tokens, and the same marks spelt in letters
are left to nobody.
"""
