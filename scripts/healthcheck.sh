#!/usr/bin/env bash
# The health check of every Node service's image. A process without a port touches HEALTH_FILE every few seconds, so it
# must be at most 30 s old; any other answers GET /healthz on PORT. Bash alone: a check runs often and should cost little.
set -euo pipefail

is_fresh() {
  local age=$(($(date +%s) - $(stat --format %Y "$1")))
  ((age <= 30)) || { echo "$1 was touched $age s ago"; return 1; }
}

answers() {
  local status=''
  exec 3<>"/dev/tcp/127.0.0.1/$1"
  printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3
  read -r -t 3 _ status _ <&3 || true
  [[ $status == 200 ]] || { echo "GET /healthz on port $1: ${status:-no answer within 3 s}"; return 1; }
}

HEALTH_FILE=${HEALTH_FILE:-/tmp/health}
if [[ -e $HEALTH_FILE ]]; then is_fresh "$HEALTH_FILE"; else answers "${PORT:-3000}"; fi
