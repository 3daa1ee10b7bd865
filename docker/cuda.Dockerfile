# The toolbox on NVIDIA GPUs, with mmcv's and our own operators compiled:
#   docker build -f docker/cuda.Dockerfile -t mmvis-memcnp:cuda .
#   docker run --rm --gpus all --shm-size 8g -v "$PWD/data:/opt/mmvis_memcnp/data" \
#       mmvis-memcnp:cuda train configs/idol/idol_r50_8xb4-12k_youtubevis2021.py
# The toolkit must be of the CUDA version of requirements/torch.lock's PyTorch.
FROM nvidia/cuda:13.0.1-devel-ubuntu24.04
RUN apt-get update && \
    apt-get install -y --no-install-recommends make g++ python3-venv \
        python3-dev && \
    rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1 \
    FORCE_CUDA=1 \
    TORCH_CUDA_ARCH_LIST="8.0;8.6;9.0+PTX"
WORKDIR /opt/mmvis_memcnp
COPY . .
RUN make env
RUN make ops
RUN .venv/bin/python tools/analysis_tools/check_env.py
ENTRYPOINT ["/opt/mmvis_memcnp/.venv/bin/mmvis"]
CMD ["--help"]
