"""From generated text to an answer: reasoning, text, and tool calls.

::

    style               which marks a model family uses, judging by its template
    thinking            reasoning between marks, before the answer
    tool_call_marks     tool calls between marks
    tool_call_json      the text between them: JSON, as most families write it,
    tool_call_tags      tags, as Qwen 3 Coder does,
    tool_call_deepseek  or DeepSeek's marks
    channels            gpt-oss's messages with channels: reasoning and tool calls
    reading             all of these together, for one answer

Each splits text as it arrives, in pieces of any size, without knowledge of tokens.
"""
