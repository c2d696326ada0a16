"""The application: OpenAI's interface over agents, and room for more routes, such as a web page."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from ...errors import UnknownName
from ...tools import Tool
from .answering import Answering
from .caps import Caps
from .gate import Gate
from .house import House
from .owners import Owners
from .refusal import Refused, refused

if TYPE_CHECKING:
    from ..agent import Agent

__all__ = ["create_app"]


def create_app(
    agents: Mapping[str, Agent],
    *,
    tools: Sequence[Tool] = (),
    owners: Owners | None = None,
    hosts: Iterable[str] = (),
    origins: Collection[str] = (),
    caps: Caps | None = None,
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """The application that answers for ``agents``, by the names of their models; it closes them at its end.

    ``tools`` are those that a request may ask for; ``owners`` whose tokens are needed, if any; ``hosts`` the names
    under which the server is reached, beside localhost and plain addresses; ``origins`` the pages elsewhere that may
    ask. ``routes`` come after those of the interface; a route finds the `House` in ``request.app.state.house``, and
    whose request it is in ``request.scope["owner"]``. A token is compared, but no address is bound here: `serve` does.
    """
    house = House(agents, tools=tools, caps=caps)
    own = [
        Route("/v1/chat/completions", Answering(house), methods=["POST"]),
        Route("/v1/models", _models),
        Route("/v1/models/{name:path}", _model),
        Route("/healthz", _health),
        Route("/metrics", _metrics),
    ]
    every = [*own, *routes]
    paths = [route.path for route in every if isinstance(route, Route) and "{" not in route.path]
    gate = Middleware(Gate, owners=owners or Owners(), metrics=house.metrics, hosts=hosts, origins=origins, paths=paths)
    app = Starlette(
        routes=every,
        middleware=[gate],
        exception_handlers={HTTPException: _not_found},
        lifespan=partial(_lifespan, house),
    )
    app.state.house = house
    app.state.began = int(time.time())
    return app


@asynccontextmanager
async def _lifespan(house: House, app: Starlette) -> AsyncGenerator[None]:
    yield
    await house.close()


def _house(request: Request) -> House:
    return request.app.state.house


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _metrics(request: Request) -> Response:
    house = _house(request)
    return PlainTextResponse(house.metrics.text(running=house.running), media_type="text/plain; version=0.0.4")


async def _models(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [_model_json(request, name) for name in _house(request).agents]})


async def _model(request: Request) -> Response:
    name, known = request.path_params["name"], _house(request).agents
    if name not in known:
        return refused(UnknownName("model", name[:80], known)).response()
    return JSONResponse(_model_json(request, name))


def _model_json(request: Request, name: str) -> dict[str, object]:
    backend = _house(request).agents[name].backend
    own = {"context": backend.context, "note": backend.note}
    return {
        "id": name,
        "object": "model",
        "created": request.app.state.began,
        "owned_by": "looktwice",
        "looktwice": own,
    }


async def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    told = {404: "there is nothing under this path", 405: "this path takes another method"}
    return Refused(told.get(status, "the request can't be answered"), status=status, code="not_found").response()
