"""llama-cpp-python's chat handlers for models that see: they cannot be made."""

from __future__ import annotations

from llamacy.arguments import short
from llamacy.errors import UnsupportedCallError


class Llava15ChatHandler:
    """Raises UnsupportedCallError, under all names of such handlers."""

    def __init__(self, clip_model_path: str = "", verbose: bool = True) -> None:
        raise UnsupportedCallError(
            f"chat handler for pictures (clip_model_path={short(clip_model_path)}): "
            "llamacy's models read only text"
        )


Gemma4ChatHandler = Llava15ChatHandler
Llama3VisionAlphaChatHandler = Llama3VisionAlpha = Llava15ChatHandler
Llava16ChatHandler = Llava15ChatHandler
MiniCPMv26ChatHandler = Llava15ChatHandler
MoondreamChatHandler = Llava15ChatHandler
MTMDChatHandler = Llava15ChatHandler
NanoLlavaChatHandler = Llava15ChatHandler
ObsidianChatHandler = Llava15ChatHandler
Qwen25VLChatHandler = Llava15ChatHandler
