# The pinned stack, as `make install` makes it, for jobs on Kubernetes and Google Batch; see docs/clusters.md.
#     docker build --build-arg STACK=cpu --tag IMAGE .        # or gpu, tpu
FROM python:3.11-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
ARG STACK=cpu

WORKDIR /opt/polyticket
COPY requirements.lock requirements-cpu.lock requirements-gpu.lock requirements-tpu.lock ./
COPY profiles/requirements.txt profiles/requirements.txt
RUN python -m pip install --requirement "requirements-${STACK}.lock" \
    && python -m pip install --constraint requirements.lock --requirement profiles/requirements.txt

COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m pip install --no-deps --no-build-isolation --editable .

# executors mount a directory of the job here, and run as root in it
WORKDIR /workdir
