"""A plugin for the command line tool `llm`: local models beside all its others.

``pip install "llamacy[llm]"`` beside `llm`, or ``llm install "llamacy[llm]"``, is all
there is to do: `llm` finds the plugin, and with it the demo model, the models in the
hub's cache, and those added by ``llm llamacy add``. Needs the package llm.
"""

from __future__ import annotations

from llamacy.integrations.extras import needs

with needs("llm", "llm"):
    import llm as _llm  # noqa: F401  # before pydantic, which comes with it

    from llamacy.integrations.llm.commands import register_commands
    from llamacy.integrations.llm.models import register_models

__all__ = ["register_commands", "register_models"]
