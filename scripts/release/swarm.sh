# Sourced by scripts/swarm, after the rest: the stack in Docker Swarm. Some of what Compose does for scripts/deploy is done
# by Swarm here, in functions of the same names.
#
# What a container is made of has a digest, which is its label keelson.definition (tools/swarm): by that a service has
# arrived when all of its tasks have the label that it has itself.
# shellcheck shell=bash

refuse_other_way() {
  local node
  [[ ! $(docker ps --quiet --filter "label=com.docker.compose.project=$project" --filter label=com.docker.compose.oneoff=False) ]] ||
    fail "The stack $STACK runs with Docker Compose here: docker compose --env-file .env.$STACK down ends that, and leaves its data for Swarm."
  node=$(docker info --format '{{if .Swarm.ControlAvailable}}{{.Swarm.NodeID}}{{end}}')
  [[ $node ]] || fail 'This machine is no manager of a swarm: docker swarm init makes it one.'
}

# The volumes, and so the lock, the log and the database, are one node's. The first deploy says which.
claim_data() {
  local here there
  here=$(docker info --format '{{.Swarm.NodeID}}')
  there=$(docker node ls --filter "node.label=$project.data=true" --format '{{.ID}} {{.Hostname}}')
  if [[ ! $there ]]; then
    say "this node has the data of the stack from now on: label $project.data"
    quietly docker node update --label-add "$project.data=true" "$here" || fail "The node cannot be labelled: $complaint"
  elif [[ $there != "$here "* ]]; then
    fail "The data of the stack $STACK are on the node ${there#* }: run this there."
  fi
}

# Made here, for the containers that come before the services. Those of the stack go with it: docker stack rm. What passes
# in them from one node to another is encrypted; in the ingress's it is TLS.
make_networks() {
  local name kind scope
  while read -r name kind; do
    scope=$(docker network inspect --format '{{.Scope}}' "$name" 2>/dev/null || true)
    [[ ! $scope || $scope == swarm ]] || fail "The network $name is one of Compose: docker network rm $name, when nothing uses it any more."
    [[ ! $scope ]] || continue
    case $kind in
      external) set -- ;;
      internal) set -- --opt encrypted --internal --label "com.docker.stack.namespace=$project" ;;
      *) set -- --opt encrypted --label "com.docker.stack.namespace=$project" ;;
    esac
    quietly docker network create --driver overlay --attachable "$@" "$name" || fail "The network $name cannot be made: $complaint"
  done < <(networks)
}

networks() { # each as NAME own|internal|external
  awk '
    /^[^ ]/ { print_network(); in_networks = $1 == "networks:" }
    !in_networks { next }
    /^  [^ ]/ { print_network(); kind = "own" }
    /^    name: / { name = $2 }
    /^    (internal|external): true/ { kind = $1; sub(/:/, "", kind) }
    END { print_network() }
    function print_network() { if (name) print name, kind; name = "" }
  ' "$work/config.yml"
}

# As Compose would, which also uses them: but for those that a driver keeps elsewhere.
make_volumes() {
  local name
  # shellcheck disable=SC2013 # a volume's name has no spaces
  for name in $(awk '
    /^[^ ]/ { print_volume(); in_volumes = $1 == "volumes:" }
    !in_volumes { next }
    /^  [^ ]/ { print_volume(); name = $1; sub(/:$/, "", name) }
    /^    [^ ]/ && $1 != "name:" { name = "" }
    END { print_volume() }
    function print_volume() { if (name) print name; name = "" }
  ' "$work/config.yml"); do make_volume "$name" "$project"; done
}

outer_network() {
  networks | sed -n 's/ external$//p' | head -n 1
}

# A secret of Swarm cannot be changed: the name of each says its content. The certificate becomes two, since its volume is
# this node's alone.
read_secrets() {
  local name folder file owner digests='' certificate=''
  folder=$(setting SECRETS_DIR)
  check_secrets
  for name in $(secrets); do
    digests="$digests${digests:+,}\"$name\":\"$(digest <"$folder/$name")\""
  done
  if grep -q 'PROXY_TLS: .*on' "$work/config.yml"; then
    owner=$(in_lock stat -L -c %u /certificates/current/privkey.pem 2>/dev/null) ||
      fail "The stack $STACK has no certificate: scripts/certificate puts one there."
    mkdir -p "$work/certificate"
    for file in fullchain.pem privkey.pem; do
      docker exec --user "$owner" "$project-deploy" cat "/certificates/current/$file" >"$work/certificate/$file"
    done
    certificate=",\"certificate\":{\"folder\":\"$work/certificate\",\"owner\":\"$owner\",\"digest\":\"$(cat "$work/certificate/"* | digest)\"}"
  fi
  content="\"digests\":{$digests}$certificate"
}

digest() {
  sha256sum | cut -c 1-12
}

# stack_file TAG SERVICE…: what Compose says of them, on standard input, in the words of Swarm
stack_file() {
  local names='' name
  for name in "${@:2}"; do names="$names${names:+,}\"$name\""; done
  docker run "${CONFINED[@]}" --memory 256m --interactive --entrypoint node "$registry/provision:$1" \
    --input-type=module-typescript --eval "$(cat tools/swarm/src/stack-file.ts)
      import { readFileSync } from 'node:fs';
      process.on('uncaughtException', ({ message }) => (console.error(message), process.exit(1)));
      console.log(JSON.stringify(stackFile(JSON.parse(readFileSync(0, 'utf8')), JSON.parse(process.argv[1]!))));
    " "{\"services\":[$names],$content}"
}

# bring STACK TAG SERVICE…: tells Swarm what they are to be; Compose says it on standard input
bring() {
  local resolve=never
  stack_file "${@:2}" >"$work/stack.json" 2>"$work/output" || fail "The stack file cannot be made: $(tail -n 1 "$work/output")"
  # What came from a registry is to be the same image on every node.
  [[ ! $(docker image inspect --format '{{join .RepoDigests " "}}' "$registry/provision:$2") ]] || resolve=always
  quietly docker stack deploy --detach --with-registry-auth --resolve-image "$resolve" --compose-file "$work/stack.json" "$1" ||
    fail "Swarm does not take the stack: $complaint"
}

is_started() { # is_started SERVICE
  is_there "${project}_$1"
}

is_there() { # is_there SERVICE, by its whole name
  docker service inspect "$1" >/dev/null 2>&1
}

replace_other() { # replace_other SERVICE
  configuration "$tag" | bring "$project" "$tag" "$1"
  settle "$project" "$tag" "$1"
}

is_as_defined() { # is_as_defined SERVICE
  local definition
  definition=$(docker service inspect --format '{{index .Spec.TaskTemplate.ContainerSpec.Labels "keelson.definition"}}' "${project}_$1")
  configuration "$tag" | stack_file "$tag" "$1" | grep -q "\"keelson.definition\":\"$definition\""
}

start_ingress() {
  local name=${INGRESS_PROJECT:-keelson-ingress}
  [[ ${INGRESS_ADDRESS:-0.0.0.0} == 0.0.0.0 ]] || fail 'INGRESS_ADDRESS is not for Swarm: a port is that of all addresses of a node.'
  say "ingress: starts"
  REGISTRY=$registry IMAGE_TAG=$tag INGRESS_NETWORK=$(outer_network) scripts/ingress config --format json | bring "$name" "$tag" ingress
  settle "$name" "$tag" ingress
}

every_container() { # every_container [FILTER…]: of those on this node
  docker ps --all --no-trunc --format '{{.CreatedAt}}|{{.Label "com.docker.swarm.service.name"}} {{.ID}}' \
    --filter "label=com.docker.stack.namespace=$project" "$@" | sort | sed "s/.*|${project}_//"
}

release() { # release TAG COMPOSE-ARGUMENT…: what is started beside the stack
  IMAGE_TAG=$1 COMPOSE_FILE=$files:scripts/release/swarm.yml docker compose "${@:2}"
}

configuration() { # configuration TAG
  IMAGE_TAG=$1 docker compose config --format json
}

# One service after another, so that no more starts at once than has to. Swarm does the work of each: a task more, and once
# that is healthy an old one leaves DNS, and is told to stop two seconds later.
roll() {
  local service
  old_release=$(running_release)
  versions >"$work/before"
  configuration "$tag" >"$work/configuration.json"
  rolling=yes
  for service in $(alone) $(rolled); do
    say "$service: $tag${old_release:+ for $old_release}"
    bring "$project" "$tag" "$service" <"$work/configuration.json"
    settle "$project" "$tag" "$service"
  done
  rolling=''
  remove_strangers
}

# Of each service, how often it was changed.
versions() {
  local ids
  ids=$(docker service ls --quiet --filter "label=com.docker.stack.namespace=$project")
  # shellcheck disable=SC2086
  [[ ! $ids ]] || docker service inspect --format '{{.Spec.Name}} {{.Version.Index}}' $ids
}

# A service that has failed is put back by Swarm. So that there is one release, the others are, too.
put_back() {
  local name version before
  say "putting back ${old_release:-what was there}"
  while read -r name version; do
    before=$(awk -v name="$name" '$1 == name { print $2 }' "$work/before")
    if [[ ! $before ]]; then
      docker service rm "$name" >/dev/null
    elif [[ $before != "$version" ]]; then
      docker service inspect --format '{{with .UpdateStatus}}{{.State}}{{end}}' "$name" | grep -q '^rollback' ||
        quietly docker service rollback --detach "$name" || fail "$name cannot be put back: $complaint"
      putting_back=yes settle "$project" "${old_release:-what was there}" "${name#"${project}_"}"
    fi
  done < <(versions)
}

# settle STACK TAG SERVICE…: until all tasks of each run as it is defined, and Swarm has watched them for a while.
settle() {
  local stack=$1 tag=$2 now known='' since=$SECONDS service status
  shift 2
  while :; do
    now=$(states "$stack" "$@")
    if [[ $now != "$known" ]]; then
      { grep -vxF "$known" <<<"$now" || true; } | while read -r service status running; do say "$service: $running"; done
      known=$now since=$SECONDS
    fi
    while read -r service status _; do
      [[ $status != failed ]] || give_up_on "$stack" "$service" "$service $tag does not run"
    done <<<"$now"
    grep -qv ' settled ' <<<"$now" || return 0
    service=$(sed -n '/ settled /!{s/ .*//p;q;}' <<<"$now")
    ((SECONDS - since < patience)) || give_up_on "$stack" "$service" "$service $tag does not get healthy within $patience s"
    sleep 1
  done
}

# Of each its name; whether it has settled, moves or failed; and how many of its tasks run as it is defined.
states() { # states STACK SERVICE…
  local names tasks
  names=$(printf "$1_%s " "${@:2}")
  # shellcheck disable=SC2086
  {
    docker service inspect --format 'service {{.ID}} {{.Spec.Name}} {{with .Spec.Mode.Replicated}}{{.Replicas}}{{else}}each{{end}} {{index .Spec.TaskTemplate.ContainerSpec.Labels "keelson.definition"}} {{with .UpdateStatus}}{{.State}}{{end}}' $names
    tasks=$(docker service ps --quiet --no-trunc --filter desired-state=running $names)
    # One of them may be gone by now: then not all have arrived.
    docker inspect --type task --format 'task {{.ServiceID}} {{.Status.State}} {{index .Spec.ContainerSpec.Labels "keelson.definition"}}' $tasks 2>/dev/null || true
  } | awk -v stack="$1_" -v back="${putting_back:-}" '
    $1 == "service" { order[++count] = $2; name[$2] = substr($3, length(stack) + 1); wanted[$2] = $4; definition[$2] = $5; state[$2] = $6 }
    $1 == "task" { tasks[$2]++; running[$2] += $3 == "running" && $4 == definition[$2] }
    END {
      for (n = 1; n <= count; n++) {
        id = order[n]
        if (wanted[id] == "each") wanted[id] = tasks[id] ? tasks[id] : 1
        failed = state[id] ~ (back ? "paused" : "^(paused|rollback)")
        done = state[id] ~ (back ? "^(|completed|rollback_completed)$" : "^(|completed)$") && running[id] == wanted[id] && tasks[id] == wanted[id]
        print name[id], failed ? "failed" : done ? "settled" : "moves", running[id] + 0 " of " wanted[id]
      }
    }
  '
}

# Says why: by the newest task that has failed since this began, or else by the health check of one that goes on trying.
give_up_on() { # give_up_on STACK SERVICE SENTENCE
  local task reason container
  read -r _ task _ reason < <(
    # shellcheck disable=SC2046
    docker inspect --type task --format '{{json .CreatedAt}} {{.ID}} {{.Status.State}} {{.Status.Err}}' \
      $(docker service ps --quiet --no-trunc "$1_$2") 2>/dev/null |
      awk -v began="\"$began" '$1 > began && ($3 == "failed" || $3 == "rejected")' | sort | tail -n 1
  ) || true
  container=$(docker ps --quiet --filter "label=com.docker.swarm.service.name=$1_$2" --filter health=starting | head -n 1)
  [[ $reason || ! $container ]] || reason=$(last_check "$container")
  if [[ ${task:-$container} ]]; then
    echo "        the last lines of its log:" >&2
    { if [[ $task ]]; then docker service logs --raw --tail 20 "$task"; else docker logs --tail 20 "$container"; fi; } 2>&1 | sed 's/^/        | /' >&2
  fi
  fail "$3${reason:+: $reason}"
}

# Services that are no more, and secrets that nobody reads any more. Swarm refuses to remove one that is in use.
remove_strangers() {
  local name secret
  for name in $(versions | sed 's/ .*//'); do
    grep -q "^${name#"${project}_"} " "$work/services" && continue
    say "${name#"${project}_"}: is no part of this stack any more"
    docker service rm "$name" >/dev/null
  done
  for secret in $(docker secret ls --filter "label=com.docker.stack.namespace=$project" --format '{{.Name}}'); do
    docker secret rm "$secret" >/dev/null 2>&1 || true
  done
}
