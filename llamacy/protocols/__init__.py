"""Other programs' shapes of results: plain dicts, for a server, jobs and `compat`.

Pure: results of `llamacy.results` and `llamacy.chat.results` in, dicts out. Nothing
here generates, waits or writes.

::

    openai      completions and chat completions, whole and in chunks
"""
