"""What a request reads its tokens for.

A goal belongs to one request. Before each pass it says which rows go in and which of
them lead to logits; after the pass it takes those logits, and says whether the request
reads on, grows, or has ended. `goal` has the interface; each other module is one goal.
"""
