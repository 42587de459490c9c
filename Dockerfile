# The service for CPUs, amd64 and arm64: no PyTorch, no compiler, no pip.
#
#   docker build -t face .
#   docker run -p 8000:8000 -v faces:/data face
#
# BASE may be any image with Python 3.11 and its venv module; docker/verify.sh brings its own.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/face
# A layer of its own, so that a change of the code fetches no dependency again.
COPY docker/requirements.txt /src/docker/
RUN /opt/face/bin/pip install --require-hashes --no-deps --only-binary :all: \
      -r /src/docker/requirements.txt
COPY pyproject.toml README.md LICENSE /src/
COPY scsc /src/scsc
COPY models /src/models
COPY app /src/app
RUN /opt/face/bin/pip install --no-deps --no-build-isolation /src \
 && /opt/face/bin/pip uninstall --yes setuptools pip \
 && find /opt/face -type d \( -name tests -o -path '*/backend/test' \) -prune -exec rm -rf {} +

FROM ${BASE}
LABEL org.opencontainers.image.title="Face recognition" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin face \
 && install --directory --owner face --group face --mode 700 /data
COPY --from=build /opt/face /opt/face
ENV PATH=/opt/face/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FACE_DATA_DIR=/data \
    FACE_PACKS_DIR=/data/packs \
    FACE_HOST=0.0.0.0 \
    FACE_PORT=8000
# By number: an orchestrator that asks for a user other than root cannot read names.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['FACE_PORT'] + '/health/ready', timeout=4)"]
ENTRYPOINT ["face"]
CMD ["serve", "--first-key"]
