"""What the routes are given: the services of this application, and what a caller asks."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from app import metrics
from app.api.door import Door
from app.api.options import Options
from app.api.requests import Ask, ReadLimits, read_ask
from app.gallery import Gallery
from app.pipeline.analyze import Analyzer
from app.pipeline.decode import ImageLimits
from app.settings import Settings

OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True)
class Services:
    """Made once by `main`; thread-safe."""

    settings: Settings
    analyzer: Analyzer
    gallery: Gallery
    door: Door

    def close(self) -> None:
        """Finishes what waits for the networks, then closes the store. May be called twice."""
        self.gallery.reembed.close()
        try:
            self.analyzer.close()
        finally:
            self.gallery.close()

    @property
    def image_limits(self) -> ImageLimits:
        return ImageLimits(self.settings.max_image_bytes, self.settings.max_image_pixels)

    @property
    def read_limits(self) -> ReadLimits:
        return ReadLimits(self.settings.max_images, self.settings.max_image_bytes)


def services_of(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


ServicesDep = Annotated[Services, Depends(services_of)]


def asks(
    model: type[OptionsT],
) -> Callable[[Request, ServicesDep], AsyncIterator[Ask[OptionsT]]]:
    """A dependency that reads pictures and these options, inside the door."""

    async def read(request: Request, services: ServicesDep) -> AsyncIterator[Ask[OptionsT]]:
        services.door.require_room()
        with metrics.stage("read"):
            ask = await read_ask(request, model, services.read_limits)
        with services.door.enter():
            yield ask

    return read


def reply(answer: BaseModel, status: int = 200) -> Response:
    """The answer as JSON; made in the worker thread, not on the event loop."""
    content = answer.model_dump_json(exclude_unset=True)
    return Response(content, status, media_type="application/json")
