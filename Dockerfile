# One image for every role: `docker run IMAGE fifo`, `… informer --index 1`, `… handler printer`, `… hub`.
# See docs/containers.md. Where no registry can be reached, deploy/base-image.sh makes the base.
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS build
# python:*-slim can make environments; Debian's own python3 needs one more package, here only.
RUN python3 -c 'import ensurepip' 2>/dev/null \
    || (apt-get update -qq && apt-get install -qq -y --no-install-recommends python3-venv)
RUN python3 -m venv /opt/deltawire
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements/runtime.lock /src/requirements/runtime.lock
RUN /opt/deltawire/bin/pip install --quiet --require-hashes -r /src/requirements/runtime.lock
COPY . /src
# The tree's packages are links; a wheel is made of what they point to. Then nothing is left that installs or builds.
RUN /opt/deltawire/bin/pip install --quiet --no-deps --no-build-isolation /src \
    && /opt/deltawire/bin/pip uninstall --quiet -y setuptools pip \
    && chmod -R a+rX /src/examples /src/deploy

FROM ${BASE_IMAGE}
# Whoever runs the containers; the one who may read the kubeconfig (docs/containers.md).
ARG UID=1000
RUN useradd --uid ${UID} --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin deltawire \
    && install -d -o deltawire -g deltawire -m 0700 /var/lib/deltawire /run/deltawire /var/lib/apiserver
COPY --from=build /opt/deltawire /opt/deltawire
COPY --from=build /src/examples /usr/share/deltawire/examples
COPY --from=build /src/deploy/deltawire.yaml /src/deploy/demo.kubeconfig /etc/deltawire/
ENV PATH=/opt/deltawire/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER deltawire
# Commands find ./deltawire.yaml here.
WORKDIR /etc/deltawire
# A role renews this file while its loop turns and its sessions are open (runtime.health in the config).
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["sh", "-c", "find /tmp/deltawire-health -newermt -10seconds | grep -q ."]
# Exec form: process 1 runs `deltawire ARG…` as its child, passes SIGTERM on and kills a role that hangs, so that the
# restart policy brings it back (docs/containers.md).
ENTRYPOINT ["deltawire-watch"]
CMD ["--help"]
