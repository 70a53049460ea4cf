# The pinned stack, as `make install` makes it, for jobs on Kubernetes and Google Batch; see docs/clusters.md.
#     docker build --build-arg STACK=cpu --tag IMAGE .        # or gpu, tpu
FROM python:3.11-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USE_PEP517=1 PYTHONUNBUFFERED=1
ARG STACK=cpu
# of an index with PyTorch's build for processors, which makes the image of the stack `cpu` 4 GB smaller
ARG PIP_EXTRA_INDEX_URL

WORKDIR /opt/polyticket
COPY requirements.lock requirements-cpu.lock requirements-gpu.lock requirements-tpu.lock ./
COPY profiles/kubernetes/requirements.txt profiles/kubernetes/requirements.txt
RUN python -m pip install --requirement "requirements-${STACK}.lock" \
    && python -m pip install --constraint requirements.lock --requirement profiles/kubernetes/requirements.txt

COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m pip install --no-deps --no-build-isolation --editable . && python -m compileall -q src

# executors mount a directory of the job here, and run as root in it
WORKDIR /workdir
