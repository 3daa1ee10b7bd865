# The toolbox on a CPU, nothing compiled:
#   docker build -f docker/cpu.Dockerfile -t mmvis-memcnp:cpu .
#   docker run --rm -v "$PWD/outputs:/out" mmvis-memcnp:cpu \
#       demo demo/moving_shapes.mp4 --model sipmask-memcnp_r18_movingshapes \
#       --out-dir /out/demo
FROM python:3.11-slim
RUN apt-get update && \
    apt-get install -y --no-install-recommends make && \
    rm -rf /var/lib/apt/lists/*
# The CPU build of PyTorch: a tenth of the download.
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu \
    PIP_NO_CACHE_DIR=1
WORKDIR /opt/mmvis_memcnp
COPY . .
RUN make env
RUN .venv/bin/python tools/analysis_tools/check_env.py
RUN .venv/bin/mmvis models > /dev/null
ENTRYPOINT ["/opt/mmvis_memcnp/.venv/bin/mmvis"]
CMD ["--help"]
