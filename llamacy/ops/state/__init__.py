"""What layers keep of each text between forward passes.

::

    specs.py      what a layer keeps: its bytes, its window, what a pass reads of it
    layout.py     where each layer's state is in a page
    pages.py      memory: a pool of pages, shared by reference count
    sequence.py   a text's state: grows, forks, goes back, is saved
    windows.py    which tokens the windows of attention leave
    kv_pages.pyx  pages of keys and values, as the kernels lay them out
"""
