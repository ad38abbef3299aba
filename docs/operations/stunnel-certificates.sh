#!/bin/sh
# Makes, in this directory, an authority for the tunnels to ZooKeeper and a certificate for each NAME:
#   stunnel-certificates.sh zk1 zk2 zk3 gw1 gw2
# Run again with further names it uses the authority that is there. ca.key stays here; each machine gets ca.pem and its own NAME.pem and NAME.key.
set -eu
umask 077
curve="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
if [ ! -e ca.key ]; then
  openssl req -x509 $curve -days 3650 -subj "/CN=l2gw ZooKeeper tunnels" -keyout ca.key -out ca.pem 2>/dev/null
fi
for name in "$@"; do
  openssl req $curve -subj "/CN=$name" -addext "subjectAltName=DNS:$name" -keyout "$name.key" -out "$name.csr" 2>/dev/null
  openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -days 825 -out "$name.pem" 2>/dev/null
  rm "$name.csr"
done
