"""From what a model writes to an answer: reasoning, text, and calls of tools.

::

    style          which marks a model's family uses, by its template
    thinking       reasoning between marks at the beginning
    marked_calls   calls between marks; call_texts, tagged_calls and deepseek_calls:
                   what stands there
    channels       gpt-oss's messages with channels, which are both
    reading        these put together, for one answer

Each splits text as it comes, in pieces of any size, and knows nothing of tokens.
"""
