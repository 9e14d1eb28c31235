"""From a conversation to a prompt: messages in, token ids out.

::

    messages     what a caller gives, checked
    overflow     the oldest turns left out, if the context is full
    formats      which template: the model's own, or one of those known by name
    template     rendered in Jinja's sandbox; environment, budget: what it may do
    disguise     nothing that a message says counts as a control token
    prompt       all of these put together

Knows vocabularies and how to generate, and nothing of models.
"""
