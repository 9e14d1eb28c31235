"""Results as the dicts of OpenAI's API.

::

    common          head of a response, usage, and why a text ended
    completions     the completion API: texts
    chat            the chat completion API: messages

Source: OpenAI's API reference, "Completions" and "Chat Completions".
"""
