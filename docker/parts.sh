#!/bin/sh
# What the gateway consists of (sbom) and what is known of it (vulnerabilities): of docker/requirements.lock, the parts
# that the image and the wheelhouse install. Its tools are pinned in docker/tools.lock.
set -eu
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .venv/bin/uv)
tools=.venv/tools

if ! [ "$tools/.installed" -nt docker/tools.lock ]; then
    "$uv" venv --quiet --clear "$tools"
    "$uv" pip install --quiet --python "$tools" --require-hashes -r docker/tools.lock
    touch "$tools/.installed"
fi

case ${1:-} in
sbom)
    parts=$(mktemp -d)
    trap 'rm -rf "$parts"' EXIT
    "$uv" venv --quiet "$parts/venv"
    "$uv" pip install --quiet --python "$parts/venv" --require-hashes -r docker/requirements.lock
    "$tools/bin/cyclonedx-py" environment --pyproject pyproject.toml --output-reproducible -o sbom.cdx.json "$parts/venv"
    ;;
vulnerabilities)
    # Strict: without it, a service that knows none of the parts counts as good news.
    "$tools/bin/pip-audit" --strict --require-hashes --disable-pip -r docker/requirements.lock
    ;;
*)
    echo "parts.sh sbom|vulnerabilities" >&2
    exit 2
    ;;
esac
