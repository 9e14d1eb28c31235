"""Other libraries' APIs on llamacy's models: a script changes only its import.

::

    llama_cpp       llama-cpp-python
    installing      `import llama_cpp` imports llamacy's module

>>> from llamacy import compat
>>> compat.install()
>>> import llama_cpp
>>> llama_cpp.Llama("demo", n_ctx=64, verbose=False).n_ctx()
64
"""

from llamacy.compat.installing import install

__all__ = ["install"]
