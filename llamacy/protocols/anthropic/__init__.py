"""Requests and results as the dicts of Anthropic's API.

::

    request     a request's body to arguments of `Model.chat`
    blocks      blocks of content to messages
    responses   answers as messages, and as events

Source: Anthropic's API reference, "Messages" and "Streaming messages".
"""
