"""Texts that grow turn by turn, and their files.

::

    session     Session: one text, one call at a time
    held        its tokens, and the sequence with their keys and values
    file        a session on disk
"""
