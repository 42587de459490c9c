"""Routes about pictures alone: detect, align, embed."""

import base64
from io import BytesIO
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from PIL import Image as Pil

from app.api.deps import Services, ServicesDep, asks, reply
from app.api.embeddings import to_base64
from app.api.openapi import TINY_PNG, body
from app.api.options import AlignOptions, DetectOptions, EmbedOptions
from app.api.pictures import faces_of, results
from app.api.requests import Ask
from app.api.roles import GuardedRoute
from app.api.schemas import (
    AlignedFace,
    EmbedAnswer,
    EmbeddedFace,
    FaceOut,
    PictureResult,
    PicturesAnswer,
)
from app.entities import Face
from app.errors import ImageError, SeveralFaces
from app.pipeline.decode import Photo

router = APIRouter(tags=["pictures"], route_class=GuardedRoute)
PNG = "image/png"


@router.post(
    "/detect",
    response_model=PicturesAnswer[FaceOut],
    openapi_extra=body(DetectOptions, {"image": TINY_PNG, "min_score": 0.6}),
)
async def detect(
    request: Request,
    services: ServicesDep,
    ask: Annotated[Ask[DetectOptions], Depends(asks(DetectOptions))],
) -> Response:
    """Faces with box, score, landmarks and quality. No face is an empty list."""
    return await services.door.work(request, _detect, services, ask)


@router.post(
    "/align",
    response_model=PicturesAnswer[AlignedFace],
    responses={200: {"content": {PNG: {"schema": {"type": "string", "format": "binary"}}}}},
    openapi_extra=body(AlignOptions, {"image": TINY_PNG}),
)
async def align(
    request: Request,
    services: ServicesDep,
    ask: Annotated[Ask[AlignOptions], Depends(asks(AlignOptions))],
) -> Response:
    """The 112x112 crops; with `Accept: image/png`, the only face of the only picture as a PNG."""
    as_png = PNG in request.headers.get("accept", "")
    return await services.door.work(request, _align, services, ask, as_png=as_png)


@router.post(
    "/embed",
    response_model=EmbedAnswer,
    openapi_extra=body(EmbedOptions, {"image": TINY_PNG, "faces": "largest"}),
)
async def embed(
    request: Request,
    services: ServicesDep,
    ask: Annotated[Ask[EmbedOptions], Depends(asks(EmbedOptions))],
) -> Response:
    """Faces with their embedding. A picture without a face is a `no_face`."""
    return await services.door.work(request, _embed, services, ask)


def _detect(services: Services, ask: Ask[DetectOptions]) -> Response:
    def find(photos: list[Photo]) -> list[list[Face]]:
        options = ask.options
        return services.analyzer.detect(
            photos, min_score=options.min_score, max_faces=options.max_faces
        )

    outcomes = faces_of(services, ask.pictures, find, operation="detect")
    shown = results(PictureResult[FaceOut], ask.pictures, outcomes, FaceOut.from_entity)
    return reply(PicturesAnswer[FaceOut](model=services.settings.detector, results=shown))


def _align(services: Services, ask: Ask[AlignOptions], *, as_png: bool) -> Response:
    outcomes = faces_of(
        services,
        ask.pictures,
        services.analyzer.align,
        operation="align",
        need_face=True,
    )
    if as_png:
        faces = [face for outcome in outcomes if isinstance(outcome, list) for face in outcome]
        fault = next((outcome for outcome in outcomes if isinstance(outcome, ImageError)), None)
        if fault is not None:
            raise fault
        if len(faces) > 1:
            raise SeveralFaces(f"one PNG shows one face, and {len(faces)} were found")
        return Response(_png(faces[0]), media_type=PNG)
    shown = results(PictureResult[AlignedFace], ask.pictures, outcomes, _aligned)
    return reply(PicturesAnswer[AlignedFace](model=services.settings.detector, results=shown))


def _embed(services: Services, ask: Ask[EmbedOptions]) -> Response:
    options, contract = ask.options, services.analyzer.contract
    if options.collection is not None:
        contract = services.gallery.contract_of(options.collection)

    def find(photos: list[Photo]) -> list[list[Face]]:
        return services.analyzer.analyze(
            photos, faces=options.faces, aligned=options.aligned, contract=contract
        )

    def show(face: Face) -> EmbeddedFace:
        assert face.embedding is not None
        as_text = options.encoding == "base64"
        embedding = to_base64(face.embedding) if as_text else face.embedding.tolist()
        return EmbeddedFace(**dict(FaceOut.from_entity(face)), embedding=embedding)

    outcomes = faces_of(services, ask.pictures, find, operation="embed", need_face=True)
    answer = EmbedAnswer(
        model=contract.model,
        contract=contract.id,
        dim=contract.dim,
        encoding=options.encoding,
        results=results(PictureResult[EmbeddedFace], ask.pictures, outcomes, show),
    )
    return reply(answer)


def _aligned(face: Face) -> AlignedFace:
    crop = base64.b64encode(_png(face)).decode("ascii")
    return AlignedFace(**dict(FaceOut.from_entity(face)), crop=crop)


def _png(face: Face) -> bytes:
    assert face.crop is not None
    file = BytesIO()
    Pil.fromarray(face.crop).save(file, "PNG")
    return file.getvalue()
