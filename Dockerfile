# Built by `kedro docker build` (BASE_IMAGE, KEDRO_UID and KEDRO_GID are its arguments); docs/deploy.md has the lines.
ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE} AS runtime-environment
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV PATH=/opt/venv/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

# The dependencies, as locked, in a layer that only a change of theirs makes again. torch's own wheels bring CUDA's
# libraries: TORCH_BUILD=cu130 (or another one that pytorch.org has) makes an image for a GPU out of the same base.
WORKDIR /opt/dependencies
COPY pyproject.toml requirements.lock ./
ARG TORCH_BUILD=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/${TORCH_BUILD}
RUN python3 -m venv /opt/venv \
    && python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        > requirements.txt \
    && pip install --no-cache-dir -c requirements.lock --extra-index-url "${TORCH_INDEX}" \
        -r requirements.txt "setuptools>=77"

# Never root, also when root builds: `kedro docker build` passes the caller's numbers on.
ARG KEDRO_UID=999
ARG KEDRO_GID=0
RUN uid="${KEDRO_UID}"; [ "${uid}" != 0 ] || uid=999; \
    groupadd --force --gid "${KEDRO_GID}" kedro_group \
    && useradd --no-log-init --non-unique --create-home --home-dir /home/kedro_docker --shell /bin/bash \
        --uid "${uid}" --gid "${KEDRO_GID}" kedro_docker \
    && mkdir -p /home/kedro_docker/data /home/kedro_docker/logs \
    && chown -R "${uid}:${KEDRO_GID}" /home/kedro_docker

FROM runtime-environment
WORKDIR /home/kedro_docker
COPY --chown=kedro_docker . .
# Named before a RUN, whose cache depends on it: buildah 1.28 would keep the ENV and LABEL below of an older commit.
ARG GIT_COMMIT=unknown
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && chown -R kedro_docker src
# hadolint ignore=DL3066  # the number is an argument
USER kedro_docker

# The commit stands in the label and, since the image has no git, in every run's tags; MLflow need not look for it.
ENV UNIVERSAL_SIMULATOR_COMMIT=${GIT_COMMIT} \
    GIT_PYTHON_REFRESH=quiet
LABEL org.opencontainers.image.title="universal_simulator" \
      org.opencontainers.image.revision="${GIT_COMMIT}"

# Logs the GPU's health, then runs the command under the limits that the environment sets (docs/deploy.md).
ENTRYPOINT ["python", "-m", "universal_simulator.machine"]
CMD ["kedro", "run"]
