"""Adapters: llamacy's models under other libraries' interfaces.

===========  ==========================================  ==============================
module       for                                         installed by
===========  ==========================================  ==============================
langchain    LangChain: an LLM and a chat model          ``llamacy[langchain]``
llm          the command line tool `llm`: a plugin       ``llamacy[llm]``
llama_index  LlamaIndex: an LLM                          ``llamacy[llama-index]``
===========  ==========================================  ==============================

The modules share the declarations of options (`fields`), loading (`loading`) and the
message of a missing package (`extras`). Importing this package imports none of them.
"""
