"""Answers that must follow a form: where it begins, and what may come before.

::

    lark         texts and marks in the notation of grammars
    frames       reasoning, headers and the prompt's own beginning, before the answer
    constraint   all of these together, for one prompt

Reasoning is not constrained: the form begins where the answer begins. That is told by
tokens where the marks around reasoning are tokens, and the same marks spelt in letters
are left to nobody.
"""
