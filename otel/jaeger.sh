#!/bin/sh
# Jaeger on this machine until Ctrl-C: make jaeger.
# Docker where an engine answers, else a program called jaeger, or the one that MAGSAG_JAEGER names.
set -eu
here=$(dirname "$0")

if docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
  exec docker compose -f "$here/compose.yaml" up
fi

program=${MAGSAG_JAEGER:-$(command -v jaeger || true)}
if [ -z "$program" ]; then
  cat >&2 <<'TEXT'
error: there is no Jaeger here. Get one of:
  docker with its compose plugin and an engine that runs
  a release of Jaeger 2, its program on the PATH as jaeger: https://www.jaegertracing.io/download
  Go 1.24 or newer, which builds it without its page in ten minutes, in an empty folder:
    go mod init here
    go get -tool github.com/jaegertracing/jaeger/cmd/jaeger@v1.76.0     (which is Jaeger 2.13)
    go install github.com/jaegertracing/jaeger/cmd/jaeger
Without one, python -m runtime trace show RUN_ID draws a run from the journal.
TEXT
  exit 1
fi

JAEGER_DATA=${JAEGER_DATA:-${XDG_STATE_HOME:-$HOME/.local/state}/magsag/jaeger}
export JAEGER_DATA
mkdir -p "$JAEGER_DATA"
echo "Jaeger: http://localhost:${JAEGER_UI_PORT:-16686}, its data in $JAEGER_DATA" >&2
exec "$program" --config "$here/jaeger.yaml"
