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
  docker with its compose plugin, whose engine must run, for the page and the API
  go install github.com/jaegertracing/jaeger/cmd/jaeger@v2.20.0     (Go 1.26 or newer; the API alone)
Without one, python -m runtime trace show RUN_ID draws a run from the journal.
TEXT
  exit 1
fi

JAEGER_DATA=${JAEGER_DATA:-${XDG_STATE_HOME:-$HOME/.local/state}/magsag/jaeger}
export JAEGER_DATA
mkdir -p "$JAEGER_DATA"
echo "Jaeger: http://localhost:${JAEGER_UI_PORT:-16686}, its data in $JAEGER_DATA" >&2
exec "$program" --config "$here/jaeger.yaml"
