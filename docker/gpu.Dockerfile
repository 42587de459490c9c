# The service with ONNX Runtime on an NVIDIA GPU (amd64); CUDA and cuDNN come from their own wheels,
# the driver from the host (NVIDIA container toolkit):
#
#   docker build -t face-gpu -f docker/gpu.Dockerfile .
#   docker run --gpus all -p 8000:8000 -v faces:/data face-gpu
#
# Beside the requirements, the same steps as in ../Dockerfile.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/face
COPY docker/requirements-gpu.txt /src/docker/
RUN /opt/face/bin/pip install --require-hashes --no-deps --only-binary :all: \
      -r /src/docker/requirements-gpu.txt
COPY pyproject.toml README.md LICENSE /src/
COPY scsc /src/scsc
COPY models /src/models
COPY app /src/app
RUN /opt/face/bin/pip install --no-deps --no-build-isolation /src \
 && /opt/face/bin/pip uninstall --yes setuptools pip \
 && find /opt/face -type d \( -name tests -o -path '*/backend/test' \) -prune -exec rm -rf {} +

FROM ${BASE}
LABEL org.opencontainers.image.title="Face recognition, CUDA" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin face \
 && install --directory --owner face --group face --mode 700 /data
COPY --from=build /opt/face /opt/face
ENV PATH=/opt/face/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    FACE_DATA_DIR=/data \
    FACE_PACKS_DIR=/data/packs \
    FACE_HOST=0.0.0.0 \
    FACE_PORT=8000
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['FACE_PORT'] + '/health/ready', timeout=4)"]
ENTRYPOINT ["face"]
CMD ["serve", "--first-key"]
