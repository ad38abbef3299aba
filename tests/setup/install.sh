#!/usr/bin/env bash
# Installs what the build and the tests need on a bare Debian 12 machine, and says what. Does nothing where it is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

missing=()
need() { # need PACKAGE COMMAND-OR-FILE
  case $2 in
    /*) [ -e "$2" ] || missing+=("$1") ;;
    *) command -v "$2" >/dev/null 2>&1 || missing+=("$1") ;;
  esac
}
# kmod and iproute2 put their commands where a plain user's PATH does not look.
PATH=$PATH:/usr/sbin:/sbin
need gcc cc
need libc6-dev /usr/include/stdio.h
need user-mode-linux linux.uml
need kmod modprobe
need iproute2 ip
need iputils-ping ping
# The servers that tests start: libraries alone, nothing that a boot would start. They need no display, so Java does not either.
need default-jre-headless java
need libzookeeper-java /usr/share/java/zookeeper.jar
# Apache Cassandra is not in Debian: tests/setup/cassandra.sh fetches it by Maven.
need maven mvn
# Manual pages are shown by it to a test.
need groff-base groff
# The tunnel to them, of docs/operations/zookeeper.md; without a configuration it starts nothing.
need stunnel4 stunnel4
need openssl openssl

if [ "${#missing[@]}" -gt 0 ]; then
  echo "install: Debian packages: ${missing[*]}"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
      echo "install: as root: apt-get install ${missing[*]}" >&2
      exit 1
    }
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -qq </dev/null
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
fi

command -v cargo >/dev/null 2>&1 || {
  echo "install: cargo is missing; install Rust $(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml) with rustup" >&2
  exit 1
}
