"""A model in memory.

::

    loading         `load`: from a path or a name to a Model
    executors       from an open file to what runs its forward passes
    adapters        LoRA adapters: read, checked against the model's family
    joining             ... put together, for the model's own matrices
    pickling        a model in pickle, for other processes
    describing      a model in a few lines, for a notebook
    opened          a model's engine, until it is closed
    texts           the part of Model about texts: generate
    text_streams            ... piece by piece: stream
    conversations   the part of Model about conversations: chat
    conversation_streams    ... piece by piece: stream_chat
    likelihoods     the part of Model about likelihoods: score, logits
    choices                 ... of labels: choose
    tokens          the part of Model about its vocabulary: tokenize, count_tokens
    model           Model: those parts, and its adapters and sessions

The parts compute nothing themselves: they hand each call to `generation`, `chat` or
`sessions`, which know of no class called Model.
"""
