"""State: the memory of each text that layers keep between forward passes.

::

    specs.py           what a layer keeps: bytes, window, and what a pass reads of it
    layout.py          where each layer's state is in a page
    pages.py           memory: pools of pages and of blocks, shared by reference count
    sequence.py        a text's state, as all see it: grows, forks, goes back, is saved
    paged_sequence.py  the plan's, which is made of the next two
    text_pages.py      the pages of its tokens' keys and values
    text_states.py     its states of a fixed size, now and at earlier lengths
    snapshots.py       which of its earlier lengths these are kept of
    windows.py         which tokens the windows of attention leave
    kv_pages.pyx       pages of keys and values, as the kernels lay them out
"""
