"""From generated text to an answer: reasoning, text, and tool calls.

::

    style                which marks a model family uses, judging by its template
    known_styles         the ways of writing calls, and the templates that mean them
    thinking             reasoning between marks, before the answer
    stop_scope           where stop strings count: not in the reasoning
    tool_call_splitter   tool calls, between marks or without
    tool_call_marks      the marks of each family
    call_forms           the text of calls that constraints ask for
    marked_body, bodies  where a call between marks ends
    bare_calls           where one without marks begins and ends
    tool_call_json       the text of calls: JSON, as most families write it,
    tool_call_tags       tags, as Qwen 3 Coder does,
    tool_call_python     Python, as LFM2 does,
    tool_call_*          or forms that one family alone uses
    schema_types         the types of values in tags
    literals             values as Python writes them
    numbers              numbers, those too that no float holds
    wrapping             answers in messages of their own, as Solar Open writes them
    channels             gpt-oss's messages with channels: reasoning and tool calls
    begun_calls          calls that are told while they are written
    json_text            their arguments, written anew as they arrive
    told_calls           ids of calls, and what has been told of them
    recipients           Functionary's parts, each with its recipient
    reading              all of these together, for one answer

Each splits text as it arrives, in pieces of any size, without knowledge of tokens.
"""
