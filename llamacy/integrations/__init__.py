"""Adapters: llamacy's models under other libraries' interfaces.

===========  ==========================================  ==============================
module       for                                         installed by
===========  ==========================================  ==============================
langchain    LangChain: an LLM and a chat model          ``llamacy[langchain]``
llm          the command line tool `llm`: a plugin       ``llamacy[llm]``
llama_index  LlamaIndex: an LLM                          ``llamacy[llama-index]``
===========  ==========================================  ==============================

They share the declarations of options (`fields`), loading (`loading`), parts of
messages (`messages`) and the error of a missing library (`extras`). Importing this
package imports none of them.
"""
