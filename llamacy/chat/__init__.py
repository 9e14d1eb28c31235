"""From a conversation to a prompt, and from what a model writes to an answer.

::

    messages     what a caller gives, checked
    tools        functions that a model may want called, as JSON schemas
    formats      which template: the model's own, or one of those known by name
    template     rendered in Jinja's sandbox; environment, budget: what it may do
    disguise     nothing that a message says counts as a control token
    writing      these put together: messages in, token ids out
    overflow     the oldest turns left out, if the context is full
    prompt       all that an answer is generated from
    reply        the answer's text in; reasoning, text and calls out
    results      what is returned: answers, pieces, calls
    stream       an answer piece by piece
    calls        what a model's class inherits

Knows vocabularies and how to generate, and nothing of models.
"""
