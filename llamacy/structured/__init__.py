"""Structured output: texts that follow a JSON schema, a regular expression, a grammar.

::

    form          what a text must follow, as the caller said it
    options       the options that say it, and OpenAI's `response_format`
    parsing       from a finished text to its value
    schema/       from a JSON schema to one that is enforced to the letter
    grammar       from a form to llguidance's grammar
    library       llguidance itself, imported when it is first needed
    vocabulary    a tokenizer's tokens, as llguidance knows them
    compiling     grammars made ready, within limits, and kept for the next text
    matcher       which tokens may follow in one text
    masks         tokens that may follow, over a row of logits
    spare         threads that compute masks and compile

Reasoning, which comes before a form, is the part of `chat/constrained`.

A constraint that cannot be enforced is refused before the first token, and the error
names the place in the schema: no text is generated that follows only most of it.
"""
