#!/bin/sh
# An authority, and certificates of the servers of compose.yaml, in ./tls: for a first try. Who has
# an authority takes that one's.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p tls
cd tls

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
  -subj '/CN=magsag' -keyout authority.key -out authority.pem

certificate() { # NAME ALTERNATIVE_NAMES
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
    -keyout "$1.key" -out "$1.csr"
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$2" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA authority.pem -CAkey authority.key -CAcreateserial \
    -days 365 -extfile "$1.ext" -out "$1.pem"
  rm "$1.csr" "$1.ext"
}

certificate nats 'DNS:nats-1,DNS:nats-2,DNS:nats-3'
certificate postgres 'DNS:postgres'
# Containers have users of their own, so what they are given is for everybody to read. The key of
# the authority is given to none of them.
chmod 644 authority.pem nats.pem nats.key postgres.pem postgres.key
