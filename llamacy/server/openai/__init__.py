"""OpenAI's endpoints.

::

    chat            /v1/chat/completions
    completions     /v1/completions
    model_list      /v1/models
"""
