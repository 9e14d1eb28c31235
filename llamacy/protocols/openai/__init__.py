"""Requests and results as the dicts of OpenAI's API.

::

    common              head of a response, usage, and why a text ended
    completions         the completion API: texts
    chat                the chat completion API: messages
    sampling            sampling options of requests
    streaming           whether and how a response is streamed
    completion_request  a request's body to arguments of `Model.generate`
    chat_request        a request's body to arguments of `Model.chat`

Source: OpenAI's API reference, "Completions" and "Chat Completions".
"""
