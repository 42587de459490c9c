"""Routes about who it is: verify, identify, and enroll, the short way in."""

from functools import partial
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Request, Response

from app import metrics
from app.api.deps import Services, ServicesDep, asks, reply
from app.api.embeddings import require_of, vectors
from app.api.enrolment import accept, answer
from app.api.once import Once, OnceDep
from app.api.openapi import TINY_PNG, body
from app.api.options import EnrolOptions, IdentifyOptions, VerifyOptions
from app.api.pictures import faces_of, require, results
from app.api.requests import Ask
from app.api.roles import GuardedRoute
from app.api.schemas import (
    EnrolAnswer,
    FaceOut,
    IdentifiedFace,
    IdentifyAnswer,
    MatchOut,
    PictureResult,
    VerifyAnswer,
)
from app.entities import Contract, Face, Floats, Identification, Verification
from app.errors import BadRequest, ImageError
from app.pipeline.decode import Photo

router = APIRouter(tags=["recognition"], route_class=GuardedRoute)


@router.post(
    "/verify",
    response_model=VerifyAnswer,
    openapi_extra=body(VerifyOptions, {"images": [TINY_PNG, TINY_PNG]}),
)
async def verify(
    request: Request,
    services: ServicesDep,
    ask: Annotated[Ask[VerifyOptions], Depends(asks(VerifyOptions))],
) -> Response:
    """Two pictures, or one picture and a person: the same? Of each picture the largest face."""
    return await services.door.work(request, _verify, services, ask)


@router.post(
    "/identify",
    response_model=IdentifyAnswer,
    openapi_extra=body(IdentifyOptions, {"image": TINY_PNG, "top_k": 3}),
)
async def identify(
    request: Request,
    services: ServicesDep,
    ask: Annotated[Ask[IdentifyOptions], Depends(asks(IdentifyOptions))],
) -> Response:
    """For every face, or given embedding: ranked people, and a decision: match or unknown.

    An embedding's entry in `results` has one face, without a box.
    """
    return await services.door.work(request, _identify, services, ask)


@router.post(
    "/enroll",
    status_code=201,
    response_model=EnrolAnswer,
    openapi_extra=body(EnrolOptions, {"person": "ada", "name": "Ada", "image": TINY_PNG}),
)
async def enroll(
    request: Request,
    services: ServicesDep,
    once: OnceDep,
    ask: Annotated[Ask[EnrolOptions], Depends(asks(EnrolOptions))],
) -> Response:
    """Adds faces to a person and makes the person when new. When no picture is accepted: 422."""
    return await services.door.work(request, _enroll, services, once, ask)


def _verify(services: Services, ask: Ask[VerifyOptions]) -> Response:
    options = ask.options
    require(ask.pictures)
    wanted = 1 if options.person is not None else 2
    if len(ask.pictures) != wanted:
        raise BadRequest("image: two pictures are compared, or one picture with a person")
    # Before the heavy work: the collection must exist, and the person.
    threshold = services.gallery.threshold(options.collection, options.threshold)
    if options.person is None:
        main = services.analyzer.contract
        first, second = (_one_embedding(services, ask, index, main) for index in range(wanted))
        shown = VerifyAnswer.from_entity(_compared(first, second, threshold), main.model)
    else:
        services.gallery.person(options.collection, options.person)
        verify = partial(_verify_person, services, ask, options.person)
        shown = services.gallery.by_model(options.collection, verify)
    metrics.DECISIONS.labels("verify", shown.decision).inc()
    metrics.VERIFY_SCORE.observe(shown.score)
    return reply(shown)


def _verify_person(
    services: Services, ask: Ask[VerifyOptions], person: str, contract: Contract
) -> VerifyAnswer:
    options, probe = ask.options, _one_embedding(services, ask, 0, contract)
    verification = services.gallery.verify(
        options.collection, person, probe, threshold=options.threshold, made_by=contract
    )
    return VerifyAnswer.from_entity(verification, contract.model)


def _one_embedding(
    services: Services, ask: Ask[VerifyOptions], index: int, contract: Contract
) -> Floats:
    """(D,) of the picture's largest face."""
    (faces,) = faces_of(
        services,
        ask.pictures[index : index + 1],
        lambda photos: services.analyzer.analyze(photos, faces="largest", contract=contract),
        operation="verify",
        need_face=True,
    )
    assert not isinstance(faces, ImageError)
    assert faces[0].embedding is not None
    return faces[0].embedding


def _compared(first: Floats, second: Floats, threshold: float) -> Verification:
    score = float(np.clip(first @ second, -1.0, 1.0))
    return Verification(score, threshold, score >= threshold)


def _identify(services: Services, ask: Ask[IdentifyOptions]) -> Response:
    options = ask.options
    if options.embeddings is not None and ask.pictures:
        raise BadRequest("embeddings: given beside pictures; send one or the other")
    find = _identify_pictures if options.embeddings is None else _identify_embeddings
    return reply(services.gallery.by_model(options.collection, partial(find, services, ask)))


def _identify_embeddings(
    services: Services, ask: Ask[IdentifyOptions], contract: Contract
) -> IdentifyAnswer:
    options = ask.options
    require_of(contract, options.contract, services.analyzer.contract)
    probes = vectors(options.embeddings or (), contract.dim)
    shown = [
        PictureResult[IdentifiedFace](index=i, faces=[_identified(None, identification)])
        for i, identification in enumerate(_ranked(services, options, probes, contract))
    ]
    return IdentifyAnswer(model=contract.model, collection=options.collection, results=shown)


def _identify_pictures(
    services: Services, ask: Ask[IdentifyOptions], contract: Contract
) -> IdentifyAnswer:
    def find(photos: list[Photo]) -> list[list[Face]]:
        return services.analyzer.analyze(photos, faces=ask.options.faces, contract=contract)

    outcomes = faces_of(services, ask.pictures, find, operation="identify")
    faces = [face for outcome in outcomes if isinstance(outcome, list) for face in outcome]
    probes = np.zeros((len(faces), contract.dim), np.float32)
    for row, face in zip(probes, faces, strict=True):
        row[:] = face.embedding
    ranked = iter(_ranked(services, ask.options, probes, contract))

    def show(face: Face) -> IdentifiedFace:
        return _identified(face, next(ranked))  # `results` walks the faces in this same order

    shown = results(PictureResult[IdentifiedFace], ask.pictures, outcomes, show)
    return IdentifyAnswer(model=contract.model, collection=ask.options.collection, results=shown)


def _ranked(
    services: Services, options: IdentifyOptions, probes: Floats, contract: Contract
) -> list[Identification]:
    """All probes (N, D) in one search."""
    if len(probes) == 0:
        return []
    with metrics.stage("search"):
        ranked = services.gallery.identify(
            options.collection,
            probes,
            top_k=options.top_k,
            threshold=options.threshold,
            made_by=contract,
        )
    for identification in ranked:
        metrics.DECISIONS.labels("identify", identification.decision).inc()
        if identification.matches:
            metrics.TOP_SCORE.observe(identification.matches[0].score)
    return ranked


def _identified(face: Face | None, identification: Identification) -> IdentifiedFace:
    seen = dict(FaceOut.from_entity(face)) if face is not None else {}
    return IdentifiedFace(
        **seen,
        decision=identification.decision,
        threshold=identification.threshold,
        margin=identification.margin,
        matches=[MatchOut.from_entity(match) for match in identification.matches],
    )


def _enroll(services: Services, once: Once, ask: Ask[EnrolOptions]) -> Response:
    options = ask.options
    require(ask.pictures)
    change = once.change(
        options, ask.pictures, collection=options.collection, person=options.person
    )
    if change.answered:
        return change.answered

    def by_model(contract: Contract) -> Response:
        enrolment = accept(services, ask.pictures, options.faces, contract)

        def enrol() -> EnrolAnswer:
            person, stored, created = services.gallery.enrol(
                options.collection,
                options.person,
                enrolment.faces,
                name=options.name,
                metadata=options.metadata,
                made_by=contract,
            )
            return answer(person, stored, enrolment, created=created)

        return change.make(enrol, 201)

    return services.gallery.by_model(options.collection, by_model)
