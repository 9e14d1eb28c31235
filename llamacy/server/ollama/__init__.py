"""Ollama's endpoints.

::

    chat        /api/chat
    generate    /api/generate
    embedding   /api/embed and /api/embeddings
    pull        /api/pull
    managing    /api/delete, /api/copy, /api/create, /api/push, /api/blobs: refused
    lines       responses line by line
    catalogue   /api/tags, /api/show, /api/ps, /api/version
    describing  a model to its details
"""
