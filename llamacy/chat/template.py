"""Rendering a chat template: messages in, the text of a prompt out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llamacy.errors import ChatTemplateError
from llamacy.system.forks import importing

if TYPE_CHECKING:
    from jinja2 import Template

_MAX_SOURCE = 2**20  # characters; published templates have a few thousand


class TemplateStopped(ChatTemplateError):
    """A template did too much, or tried to leave its sandbox."""


def render(source: str, name: str, values: Mapping[str, Any]) -> str:
    """Render a template as transformers would.

    Parameters
    ----------
    source : str
        The template, in Jinja's language.
    name : str
        Name of the template in error messages.
    values : mapping
        The template's variables: `messages`, `tools`, `bos_token` and so on.

    Raises
    ------
    ChatTemplateError
        The template is invalid, fails, or rejects the messages; `TemplateStopped` if
        it tries to leave its sandbox or does not terminate.
    """
    with importing:
        from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError

        from llamacy.chat.environment import render_within_budget

    if len(source) > _MAX_SOURCE:
        raise ChatTemplateError(
            f"{name}: wanted at most {_MAX_SOURCE} characters, found {len(source)}"
        )
    kind = ChatTemplateError
    try:
        return render_within_budget(_compiled(source), dict(values))
    except TemplateSyntaxError as error:
        why = f"wanted a Jinja template, found at line {error.lineno}: {error.message}"
    except SecurityError as error:
        kind, why = TemplateStopped, f"stopped: {error.message}"
    except TemplateError as error:
        why = str(error.message)
    except RecursionError:
        kind, why = TemplateStopped, "stopped: it recurses too deeply"
    except MemoryError:
        kind, why = TemplateStopped, "stopped: it takes too much memory"
    except Exception as error:  # a template may make Python raise anything
        why = f"failed with {type(error).__name__}: {error}"
    raise kind(f"{name}: {why}")


@lru_cache(maxsize=16)
def _compiled(source: str) -> Template:
    with importing:
        from llamacy.chat.environment import Environment

    return Environment().compiled(source)
