"""From a conversation to a prompt, and from generated text to an answer.

::

    messages     the caller's messages, checked: their contents, their past calls
    values       the plain values that a template may see
    tools        functions that a model may call, as JSON schemas
    formats      choosing the template: the model's own, or one of built_in
    template     rendering it in Jinja's sandbox
    variables    the names that it expects to be given
    environment  the sandbox; budget and growth limit what a template may do
    habits       puts messages in the form that a template takes
    written_calls  past tool calls as text, for templates that leave them out
    beginnings   answers that the caller has begun
    disguise     keeps the text of messages from turning into control tokens
    writing      all of the above: messages in, token ids out
    overflow     leaves out the oldest turns when the context is full
    prompt       everything an answer is generated from
    reply        generated text in; reasoning, text and tool calls out
    results      the values returned: answers, pieces, tool calls
    stream       an answer piece by piece
    calls        the methods that the model's class inherits

Depends on tokenizers and on generation, but not on models.
"""
