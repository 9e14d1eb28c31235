"""Other programs' requests and results: plain dicts, for servers and `compat`.

Pure: bodies of requests in, arguments of public calls out; results of `llamacy.results`
and `llamacy.chat.results` in, dicts out. Nothing here generates, waits or writes.

::

    fields      fields of a request, each read, ignored by name or refused
    faults      faults of a request, in the words of OpenAI's errors
    operating   texts to tokens and back
    openai      completions, chat completions and responses, whole and in parts
    anthropic   messages, whole and in events
    ollama      answers and texts, whole and line by line
"""
