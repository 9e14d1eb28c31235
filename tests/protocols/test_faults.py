"""Faults of requests, in the words of OpenAI's errors."""

from __future__ import annotations

import pytest

import llamacy
from llamacy.protocols.faults import RequestFault, request_fault


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (llamacy.ContextLengthError(9, 8), ("context_length_exceeded", "input")),
        (llamacy.ChatTemplateError("x"), ("invalid_prompt", "input")),
        (llamacy.UnknownOptionError("top: unknown"), ("unknown_parameter", "top")),
        (llamacy.ArgumentError("stop[0]: wanted"), ("invalid_value", "stop[0]")),
        (llamacy.UnsupportedCallError("x: no"), ("unsupported_value", None)),
        (llamacy.OutOfMemoryError("x: no"), None),
        (ValueError("x: no"), None),
    ],
)
def test_only_the_requests_own_faults_are_told(
    error: Exception, fault: tuple[str, str | None] | None
) -> None:
    wanted = None if fault is None else RequestFault(*fault)
    assert request_fault(error, "input") == wanted
