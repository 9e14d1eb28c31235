# docker build -t llamacy . && docker run --rm -it llamacy run demo
FROM python:3.13-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:3.13-slim
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
RUN --mount=from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir /wheels/*.whl
RUN useradd --create-home user && mkdir /models && chown user /models
USER user
ENV HF_HOME=/models
VOLUME /models
ENTRYPOINT ["llamacy"]
CMD ["--help"]
