"""Requests and results as the dicts of OpenAI's API.

::

    common              head of a response, usage, and why a text ended
    completions         the completion API: texts
    chat                the chat completion API: messages
    logprobs            log-probabilities of tokens
    sampling            sampling options of requests
    structure           forms that answers must have, and tools to call
    streaming           whether and how a response is streamed
    completion_request  a request's body to arguments of `Model.generate`
    chat_request        a request's body to arguments of `Model.chat`
    response_request    the same for the response API
    response_input      items of the response API to messages
    embedding_request   the same for the embedding API
    reranking           rankings of documents
    responses           the response API: items and events
    embeddings          the embedding API: vectors, in decimal or as bytes

Source: OpenAI's API reference, "Completions", "Chat Completions", "Responses" and
"Embeddings".
"""
