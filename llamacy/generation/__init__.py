"""From prompts to texts: requests, the thread that runs them together, streams.

A call makes a `Request` of each prompt, with a goal (`goals`) that says which logits it
wants and when it is over, and submits it to the model's `Worker`. The worker's thread
steps the `Scheduler`, which puts rows of all active requests into each forward pass
(continuous batching: `parts`, `passes`) and hands each goal its logits. Events of a
request are posted to a mailbox, where the caller waits: for pieces of text (`streams`),
or for the end (`gather`).

Generation knows executors only by the protocol in `executor`, and no files.
"""
