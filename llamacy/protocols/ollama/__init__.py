"""Requests and results as the dicts of Ollama's API.

::

    request     a request's body to arguments of `Model.chat` and `Model.generate`
    embedding   vectors of texts
    responses   answers and texts, whole or line by line

Source: Ollama's API documentation.
"""
