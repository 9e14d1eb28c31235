"""OpenAI's endpoints.

::

    chat            /v1/chat/completions
    completions     /v1/completions
    embeddings      /v1/embeddings
    reranking       /v1/rerank
    model_list      /v1/models
    responses       /v1/responses
    stored          responses that later ones may go on from
    chunks          chunks that all streams have: usage, errors, the end
"""
