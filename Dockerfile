# docker build -t llamacy . && docker run --rm -it llamacy run demo
# A server: docs/guides/deploying.md
FROM python:3.13-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:3.13-slim
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
RUN --mount=from=build,source=/wheels,target=/wheels \
    wheel=$(echo /wheels/*.whl) && pip install --no-cache-dir "${wheel}[server]"
# a number, by which Kubernetes sees that it is not root
RUN useradd --create-home --uid 10001 user && mkdir /models && chown user /models
USER 10001
ENV HF_HOME=/models
VOLUME /models
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10m \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
ENTRYPOINT ["llamacy"]
CMD ["--help"]
