"""Everything that can be set, read from `FACE_...` environment variables.

Made only in `main` and `cli` (by `read_settings`) and passed down: no module reads the environment.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from limits import parse as parse_rate
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import SettingsError

PREFIX = "FACE_"
# Read by the command line for a service elsewhere, not by the service itself.
CLIENT_VARIABLES = frozenset({"FACE_URL", "FACE_KEY"})

MIB = 1024 * 1024
Cosine = Annotated[float, Field(ge=-1, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
RuntimeKind = Literal["onnxruntime", "openvino", "openvino-bf16", "pytorch"]
Positive = Annotated[int, Field(gt=0)]


class Settings(BaseSettings):
    """The service's settings; a value given in code wins over the environment."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    # Where it keeps its data and where it listens.
    data_dir: Path = Path("data")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000  # 0: any free one
    auth: Literal["keys", "off"] = "keys"  # off: whoever reaches the port may do everything
    rate: str | None = None  # requests that each key has, e.g. 600/minute; None: any number
    tls_cert: Path | None = None  # PEM, with the chain; both or neither
    tls_key: Path | None = None
    idempotency_hours: Annotated[float, Field(ge=0)] = 24.0  # that answers are kept to be repeated
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 0  # that faces are kept; 0: for ever
    encryption_key: SecretStr | None = None  # of vectors and crops: 32 bytes in base64
    encryption_key_file: Path | None = None  # that holds it
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    # Where it keeps people and where it searches, if not in data_dir and in memory; see wiring.
    index: Literal["auto", "exact", "int8", "signs", "milvus"] = "auto"
    recall: Annotated[float, Field(gt=0, le=1)] = 0.999  # of the best face, in large collections
    database_url: SecretStr | None = None  # postgresql+psycopg://USER:PASSWORD@HOST/NAME
    milvus_uri: str | None = None  # http://HOST:19530/DATABASE
    milvus_token: SecretStr | None = None  # USER:PASSWORD

    # What finds faces, what embeds them, and what runs the networks.
    detector: str = "centerface"  # centerface, yunet, insightface:PACK
    detector_file: Path | None = None  # yunet needs it
    packs_dir: Path = Path("~/.insightface")  # where InsightFace packs are, or are downloaded to
    runtime: RuntimeKind = "onnxruntime"
    model: str = "scsc_faceresnet"  # a card of models/catalog.py
    model_file: Path | None = None  # in place of the card's own file
    previous_model: str | None = None  # a card, for collections not yet moved to `model`
    previous_model_file: Path | None = None  # in place of that card's, or the same card's
    threads: Annotated[int, Field(ge=0)] = 0  # 0: the CPU quota
    batch_size: Positive = 32  # crops that one run of the embedder takes
    queue_size: Positive = 256  # crops that may wait; beyond that the answer is `busy`
    workers: Positive = 8  # requests whose pictures are worked on at once
    max_waiting: Positive = 64  # more requests with pictures may wait; beyond that `busy`
    max_wait_seconds: Annotated[float, Field(gt=0)] = 3.0  # for its turn; beyond that `busy`
    max_waiting_bytes: Positive = 512 * MIB  # of all bodies together
    max_body_seconds: Annotated[float, Field(gt=0)] = 20.0  # and one more for each 16 KiB

    # How large a request may be.
    max_image_bytes: Positive = 10 * MIB
    max_image_pixels: Positive = 40_000_000
    max_images: Positive = 32
    max_request_bytes: Positive = 64 * MIB

    # What counts: as a face, as the same person, as good enough to enrol.
    min_face_score: Share = 0.5
    threshold: Cosine | None = None  # None: the model card's
    min_face_size: Annotated[float, Field(ge=0)] = 32.0  # pixels, shorter side of the box
    min_sharpness: Annotated[float, Field(ge=0)] = 15.0  # variance of the crop's Laplacian
    min_brightness: Annotated[float, Field(ge=0, le=255)] = 25.0  # mean luma of the crop
    max_brightness: Annotated[float, Field(ge=0, le=255)] = 240.0
    min_frontal: Share = 0.15  # 1 looks at the camera, 0 is a profile

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.max_image_bytes > self.max_request_bytes:
            raise ValueError("FACE_MAX_IMAGE_BYTES is more than FACE_MAX_REQUEST_BYTES")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("FACE_TLS_CERT and FACE_TLS_KEY are given together or not at all")
        if self.encryption_key is not None and self.encryption_key_file is not None:
            raise ValueError("FACE_ENCRYPTION_KEY and FACE_ENCRYPTION_KEY_FILE are both given")
        if self.detector == "yunet" and self.detector_file is None:
            raise ValueError("FACE_DETECTOR=yunet needs FACE_DETECTOR_FILE, its .onnx file")
        return self

    @field_validator("rate")
    @classmethod
    def _of_rate(cls, text: str | None) -> str | None:
        if text is not None:
            parse_rate(text)
        return text

    @property
    def database(self) -> Path:
        return self.data_dir / "face.db"


def read_settings(given: Mapping[str, object] | None = None) -> Settings:
    """The settings of the environment; what is `given` and not None stands in their place.

    Raises SettingsError with a sentence that names the variable.
    """
    _refuse_unknown(os.environ)
    try:
        chosen: dict[str, Any] = {k: v for k, v in (given or {}).items() if v is not None}
        return Settings(**chosen)
    except ValidationError as exc:
        raise SettingsError("; ".join(_sentence(fault) for fault in exc.errors())) from exc


def traces_to() -> str | None:
    """The exporter that OpenTelemetry's own variables ask for; None: no traces."""
    named = os.environ.get("OTEL_TRACES_EXPORTER", "")
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if not named and any(os.environ.get(endpoint) for endpoint in endpoints):
        named = "otlp"
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return None if off or named in ("", "none") else named


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    """A misspelt variable would otherwise be a default that nobody asked for."""
    known = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields} | CLIENT_VARIABLES
    for name in environment:
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"{name} is not a setting{hint}")


def _sentence(fault: Any) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not fault["loc"]:
        return message
    return f"{PREFIX}{str(fault['loc'][0]).upper()}: {message}"
