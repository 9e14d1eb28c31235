"""`/tokenize`, `/detokenize`, `/apply-template`, `/props` and `/metrics`."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

import llamacy
from llamacy.chat.formats import own_templates
from llamacy.errors import ArgumentError
from llamacy.protocols.openai.chat_request import chat_request
from llamacy.protocols.operating import detokenize_request, tokenize_request
from llamacy.server.responses import JSON
from llamacy.server.service import service_of

_PROMPT_OPTIONS = ("tools", "reasoning_effort", "template_arguments")


async def tokenize(request: Request) -> JSON:
    """Turn a text into token ids."""
    service = service_of(request)
    asked = tokenize_request(await service.body(request))
    _, model = await service.model(request, asked.model)

    def response() -> JSON:
        ids = model.tokenize(
            asked.text,
            add_bos=None if asked.add_special else False,
            parse_special=asked.parse_special,
        )
        if not asked.with_pieces:
            return JSON({"tokens": ids})
        pieces = [{"id": id, "piece": model.tokenizer.piece(id)} for id in ids]
        return JSON({"tokens": pieces})

    return await service.aside(response)


async def detokenize(request: Request) -> JSON:
    """Turn token ids into text."""
    service = service_of(request)
    asked = detokenize_request(await service.body(request))
    _, model = await service.model(request, asked.model)
    try:
        text = await service.aside(lambda: model.detokenize(asked.ids))
    except ArgumentError as error:
        raise ArgumentError(str(error).replace("ids:", "tokens:", 1)) from None
    return JSON({"content": text})


async def apply_template(request: Request) -> JSON:
    """Write a conversation as a prompt, with the model's chat template."""
    service = service_of(request)
    asked = chat_request(await service.body(request))
    _, model = await service.model(request, asked.model)
    given = asked.options
    options = {name: given[name] for name in _PROMPT_OPTIONS if name in given}

    def response() -> JSON:
        ids = model.chat_prompt(asked.messages, **options)
        prompt = model.tokenizer.decode(ids, skip_special=False)
        return JSON({"prompt": prompt, "n_tokens": len(ids)})

    return await service.aside(response)


async def props(request: Request) -> JSON:
    """Describe the server and a model, which the address's `model` names."""
    service = service_of(request)
    wanted = request.query_params.get("model", "")
    name, model = await service.model(request, wanted or next(iter(service.models)))
    defaults = model.default_params
    names = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed")
    params: dict[str, Any] = {one: getattr(defaults, one) for one in names}
    return JSON(
        {
            "default_generation_settings": {"n_ctx": model.n_ctx, "params": params},
            "model_alias": name,
            "models": list(service.models),
            "chat_template": own_templates(model.metadata).get("default", ""),
            "modalities": {"vision": False, "audio": False},
            "build_info": f"llamacy {llamacy.__version__}",
        }
    )


async def metrics(request: Request) -> Response:
    """Return the measurements for Prometheus."""
    kind = "text/plain; version=0.0.4; charset=utf-8"
    return Response(service_of(request).metrics.shown(), media_type=kind)
