"""From prompts to texts: requests, the thread that runs them together, streams.

A call makes a :class:`~llamacy.generation.request.Request` of each prompt and submits
them to the model's :class:`~llamacy.generation.worker.Worker`. Its thread steps the
:class:`~llamacy.generation.scheduler.Scheduler`, which puts rows of all requests into
each forward pass and lets each request go on with its logits. What comes of it is
posted to a mailbox, where the caller waits: for pieces of text (`streams`) or for the
end (`gather`).

Knows executors only by the protocol in `scheduler`, and no files.
"""
