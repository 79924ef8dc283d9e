# Sourced by what brings a release to a stack: replaces containers, new before old, and puts back what was replaced.
# shellcheck shell=bash

# A proxy knows of an address once it has asked for it again, which it does every second.
RESOLVED_SECONDS=2

# What serves now, and is to serve again if this fails.
remember_old() {
  remove_idle
  rolled_containers >"$work/old"
  : >"$work/leaving"
  old_release=$(running_release)
}

# What does not run is of no use to anybody.
remove_idle() {
  local ids
  ids=$(rolled_containers --filter status=exited --filter status=created --filter status=dead | sed 's/.* //')
  # shellcheck disable=SC2086
  [[ ! $ids ]] || docker rm --force $ids >/dev/null
}

old_containers() { # old_containers SERVICE
  ids_of "$1" <"$work/old"
}

# All that is new is made first, and then starts one by one. An old container has its successor when it is told to stop, and
# ends what it has begun while the next ones start.
roll() {
  local service old new id
  remember_old
  rolling=yes
  for service in $(alone); do replace_alone "$service"; done
  for service in $(rolled); do echo "$service $(replicas "$service")"; done | make "$tag"
  for service in $(rolled); do
    old=$(old_containers "$service") new=$(made "$service")
    say "$service: $(lines "$new") of $tag for $(lines "$old")${old_release:+ of $old_release}"
    for id in $new; do
      start "$id" "$service $tag"
      let_go "$(head -n 1 <<<"$old")"
      old=$(tail -n +2 <<<"$old")
    done
    let_go "$old" # What is one too many has no successor.
  done
  await_retired
  rolling=''
  remove_strangers
}

# Where there is one already, it stops first.
replace_alone() { # replace_alone SERVICE
  say "$1: $tag"
  quietly release "$tag" up --detach --no-deps "$1" || fail "$1 $tag cannot be started: $complaint"
  sleep 3
  [[ $(docker inspect --format '{{.RestartCount}} {{.State.Status}}' "$(containers "$1")") == '0 running' ]] ||
    give_up "$(containers "$1")" "$1 $tag does not start."
}

# Containers more than there are. Standard input says of which services, and how many: SERVICE NUMBER
make() { # make TAG
  local there service number scales=() services=()
  there=$(every_container)
  while read -r service number; do
    scales+=(--scale "$service=$(($(lines "$(ids_of "$service" <<<"$there")") + number))") services+=("$service")
  done
  quietly release "$1" up --no-start --no-deps --no-recreate "${scales[@]}" "${services[@]}" ||
    fail "The containers of $1 cannot be made: $complaint"
}

made() { # made SERVICE: those that have not started yet
  containers "$1" --filter status=created
}

# The proxy cannot ask it anything before it is healthy. Until then it has an eighth of the others' share of the processors,
# where there are not enough.
start() { # start ID WHAT
  local shares front names
  read -r shares front names < <(shares_and_front "$1")
  [[ ! $front ]] || docker network disconnect "$front" "$1"
  docker update --cpu-shares 128 "$1" >/dev/null
  quietly docker start "$1" || fail "$2 cannot be started: $complaint"
  await_healthy "$1" "$2"
  docker update --cpu-shares "${shares/#0/1024}" "$1" >/dev/null
  # shellcheck disable=SC2086
  [[ ! $front ]] || docker network connect $names "$front" "$1"
}

# Its share of the processors; and the network from which it is asked, with its names there, if there is one: the one that
# is not this stack's own, or else the one behind the proxy.
shares_and_front() { # shares_and_front ID
  docker inspect --format '{{.HostConfig.CpuShares}}{{range $name, $network := .NetworkSettings.Networks}}{{println}}{{$name}}{{range $network.Aliases}} --alias {{.}}{{end}}{{end}}' "$1" |
    awk -v own="${project}_" 'NR == 1 { shares = $0; next } /./ && index($0, own) != 1 { outer = $0 } $1 == own "edge" { edge = $0 } END { print shares, outer ? outer : edge }'
}

# Does not wait for what has ended three times. Once or twice may be because what it needs was away for a moment.
await_healthy() { # await_healthy ID WHAT
  local until=$((SECONDS + patience)) since restarts status health
  while :; do
    since=$(date +%s)
    read -r restarts status health < <(docker inspect \
      --format '{{.RestartCount}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}' "$1")
    [[ $status != running || $health != healthy ]] || return 0
    if ((restarts > 2)) || [[ $status == exited || $status == dead ]]; then
      give_up "$1" "$2 does not start: its container ended with exit code $(exit_code "$1")."
    fi
    [[ $status != running || $health != unhealthy ]] || give_up "$1" "$2 does not get healthy: $(last_check "$1")"
    ((SECONDS < until)) || give_up "$1" "$2 does not get healthy within $patience s: $(last_check "$1")"
    await_change "$1" "$since" || sleep 1
  done
}

# Until its health changes or it ends; fails after five seconds in which nothing has happened. What listens ends a little
# later, and does not hold the lock.
await_change() { # await_change ID SINCE
  read -r < <(exec docker events --since "$2" --until $(($2 + 5)) --filter "container=$1" --filter event=die --filter event=health_status 9>&-)
}

# Of one that has ended, or of the next end of one that keeps ending: while it runs, the engine says 0.
exit_code() { # exit_code ID
  timeout 10 docker wait "$1" || docker inspect --format '{{.State.ExitCode}}' "$1"
}

last_check() {
  docker inspect --format '{{range .State.Health.Log}}{{println .Output}}{{end}}' "$1" | grep -v '^ *$' | tail -n 1 || true
}

give_up() { # give_up ID SENTENCE
  echo "        the last lines of its log:" >&2
  docker logs --tail 20 "$1" 2>&1 | sed 's/^/        | /' >&2
  fail "$2"
}

let_go() { # let_go IDS
  apart retire "$1"
  retiring="$retiring $!"
}

await_retired() {
  # shellcheck disable=SC2086
  [[ ! $retiring ]] || wait $retiring
  retiring=''
}

# Once the proxies have learned of those that take their place.
retire() ( # retire IDS
  [[ ! ${1// /} ]] || sleep "$RESOLVED_SECONDS"
  for id in $1; do
    echo "$id" >>"$work/leaving"
    (docker stop "$id" && docker rm "$id" || docker rm --force "$id") >/dev/null &
  done
  wait
)

# Containers of services that are no more.
remove_strangers() {
  local service id
  every_container | while read -r service id; do
    grep -q "^$service " "$work/services" && continue
    say "$service: is no part of this stack any more"
    retire "$id"
  done
}

# As many of the old release come back as have gone or were told to; then what is new goes.
put_back() {
  local service new gone id
  say "putting back ${old_release:-what was there}"
  for service in $(alone); do
    [[ ! $old_release ]] || quietly release "$old_release" up --detach --no-deps "$service" || fail "$service $old_release cannot be started: $complaint"
  done
  remove_idle
  for service in $(rolled); do
    new=$(containers "$service" | grep -vxF "$(old_containers "$service")" || true)
    gone=$(old_containers "$service" | grep -cvxF "$(still_there "$service")" || true)
    if ((gone > 0)); then
      make "$old_release" <<<"$service $gone"
      for id in $(made "$service"); do start "$id" "$service $old_release"; done
    fi
    retire "$new"
  done
}

still_there() { # still_there SERVICE: its old containers that nobody told to stop
  running "$1" | grep -vxF "$(cat "$work/leaving")" || true
}
