# Two stages: the first resolves and installs with uv, the second holds Python and the installed program.
# Only syntax of the classic builder: `docker-compose` 1.x builds without BuildKit.
FROM python:3.13-slim-trixie AS base

FROM base AS build
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_PROJECT_ENVIRONMENT=/opt/tocsin \
    UV_PYTHON=/usr/local/bin/python \
    UV_NO_CACHE=1 \
    UV_COMPILE_BYTECODE=1
WORKDIR /build
# The dependencies first: this layer is made again only when the lock file changes.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-install-project
COPY README.md LICENSE ./
COPY src ./src
RUN uv sync --frozen --no-dev --no-editable

FROM base
LABEL org.opencontainers.image.title="Tocsin" \
      org.opencontainers.image.description="A self-hosted incident register and response service" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
# The data directory belongs to the program before the volume is laid over it: a new named volume takes its owner.
RUN groupadd --system --gid 10001 tocsin \
    && useradd --system --uid 10001 --gid tocsin --home-dir /data --no-create-home --shell /usr/sbin/nologin tocsin \
    && install --directory --owner=tocsin --group=tocsin --mode=0700 /data
COPY --from=build /opt/tocsin /opt/tocsin
# 0.0.0.0 is the container's own network; who may reach it is decided where the port is published.
ENV PATH=/opt/tocsin/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TOCSIN_HOST=0.0.0.0 \
    TOCSIN_PORT=8000 \
    TOCSIN_DATA_DIR=/data
# Nothing but /data and /tmp is written, so the root may be read-only. `.env` is looked for here.
WORKDIR /srv/tocsin
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# http.client and not urllib: that one would ask a proxy from the environment for 127.0.0.1.
HEALTHCHECK --interval=10s --timeout=4s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, http.client as h; c = h.HTTPConnection('127.0.0.1', int(os.environ['TOCSIN_PORT']), timeout=3); c.request('GET', '/livez'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["tocsin"]
CMD ["serve"]
