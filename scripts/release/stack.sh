# Sourced by what brings a release to a stack: what the stack is, and what of it runs.
# shellcheck shell=bash

usage() {
  sed -n '2,/^set /s/^# \{0,1\}//p' "scripts/${0##*/}"
}

misused() {
  usage >&2
  exit 64
}

needs_value() { # needs_value OPTION [VALUE…]
  [[ ${2:-} ]] || misused
}

read_tag() { # read_tag ARGUMENT
  [[ ! $tag && $1 =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || misused
  tag=$1
}

say() {
  printf '%4d s  %s\n' "$SECONDS" "$*"
}

# Ends everything, also from a subshell. finish, in record.sh, says the sentence last.
fail() { # fail SENTENCE
  printf '%s\n' "$*" >"$work/reason"
  exit 1
}

# aloud COMMAND…: what it prints belongs to the line above. If it fails, complaint is set to what it said last.
aloud() {
  "$@" </dev/null 2>&1 | tee "$work/output" | sed '/^ *$/d; s/^/        /' && return
  complaint=$(grep -v '^ *$' "$work/output" | tail -n 1)
  return 1
}

# silently COMMAND…: the same, but it prints nothing.
silently() {
  "$@" </dev/null >"$work/output" 2>&1 && return
  complaint=$(grep -v '^ *$' "$work/output" | tail -n 1)
  return 1
}

# quietly COMMAND…: the same, but it prints nothing unless it fails.
quietly() {
  silently "$@" && return
  sed 's/^/        | /' "$work/output" >&2
  return 1
}

# Of a container that is started for a moment, and needs none of it: docker run "${CONFINED[@]}" …
CONFINED=(--rm --network none --read-only --cap-drop ALL --security-opt no-new-privileges --pids-limit 64 --memory 64m --cpus 1)

# Sets project, registry and files, a list of Compose files; and tag, where none was named.
open_stack() {
  [[ -e .env.$STACK ]] || fail "There is no .env.$STACK here: scripts/setup $STACK makes it."
  export COMPOSE_ENV_FILES=.env.$STACK COMPOSE_PROGRESS=quiet
  silently docker version || fail "No Docker engine answers: $complaint"
  tag=${tag:-${IMAGE_TAG:-$(sed -n 's/^IMAGE_TAG=//p' ".env.$STACK")}}
  [[ $tag ]] || fail "Which release? Name its TAG, or set IMAGE_TAG in .env.$STACK."
  export IMAGE_TAG=$tag
  silently docker compose config --environment || fail "The settings in .env.$STACK are not complete: $complaint"
  cp "$work/output" "$work/settings"
  project=$(setting COMPOSE_PROJECT_NAME) registry=$(setting REGISTRY) files=$(setting COMPOSE_FILE)
  [[ $project != *-rehearsal ]] || fail "The stack $STACK cannot be called $project: that is where ${project%-rehearsal} rehearses its deploys."
  refuse_other_way
}

# Two ways to run a stack would be two servers on the same data.
refuse_other_way() {
  [[ ! $(docker ps --quiet --filter "label=com.docker.stack.namespace=$project") ]] ||
    fail "The stack $STACK runs in Docker Swarm: scripts/swarm is for that."
}

setting() { # setting NAME: of .env.STACK, or what the environment says instead
  sed -n "s/^$1=//p" "$work/settings" | tail -n 1
}

# Every service, in the order in which they are replaced, with its image, how many containers of it there are to be, and
# how it is replaced.
read_services() {
  docker compose config --output "$work/config.yml"
  awk '
    /^[^ ]/ { in_services = $1 == "services:" }
    !in_services { next }
    /^  [^ ]/ { print_service(); service = $1; sub(/:$/, "", service); image = order = ""; replicas = 1; section = "" }
    /^    image: / { image = $2 }
    /^      [^ ]/ { section = $1 }
    /^      replicas: / { replicas = $2 }
    /^        order: / && section == "update_config:" { order = $2 }
    END { print_service() }
    function print_service() { if (service) print service, image, replicas, order }
  ' "$work/config.yml" | while read -r service rest; do
    echo "$(rank "$service") $service $rest"
  done | sort -s -k 1,1 | cut -d ' ' -f 2- >"$work/services"
}

# Also those that only one-shots have.
secrets() {
  docker compose --profile one-shot config | sed -n '/^secrets:/,/^[^ ]/s/^  \([a-z0-9-]*\):.*/\1/p'
}

check_secrets() {
  local name folder
  folder=$(setting SECRETS_DIR)
  for name in $(secrets); do
    [[ -s $folder/$name ]] || fail "The secret $folder/$name is missing: scripts/setup $STACK makes it."
  done
}

# APIs first, then the proxy, which has to know their routes and ends what it has begun while the next are replaced, then
# workers, which ask APIs. On the way back it is the other way round.
rank() {
  local api=1 worker=3
  [[ $verb != rollback ]] || api=3 worker=1
  case $1/$(kind_of "$1") in
    */api) echo "$api" ;;
    proxy/*) echo 2 ;;
    */worker) echo "$worker" ;;
    *) echo 4 ;;
  esac
}

kind_of() {
  sed -n 's/.*"kind": *"\([^"]*\)".*/\1/p' "services/$1/service.json" 2>/dev/null || true
}

# What a release is made of has an image of its own. Of that, what starts before its predecessor stops is rolled; the
# rest, and what has somebody else's image, is one that is alone with its data.
rolled() { select_services 'own && $4 == "start-first"'; }
alone() { select_services 'own && $4 != "start-first"'; }
others() { select_services '!own'; }

select_services() {
  awk -v registry="$registry/" "{ own = index(\$2, registry) == 1 } $1 { print \$1 }" "$work/services"
}

# What a registry does not give is no loss where it is on this machine.
pull_images() { # pull_images always|missing
  local service services
  services="$(rolled) $(alone) provision"
  say "the images of $tag"
  # shellcheck disable=SC2046,SC2086
  if [[ $1 == missing ]] && docker image inspect $(printf "$registry/%s:$tag " $services) >/dev/null 2>&1; then return; fi
  # shellcheck disable=SC2086
  silently release "$tag" --profile one-shot pull --quiet --policy "$1" $services && return
  for service in $services; do
    docker image inspect "$registry/$service:$tag" >/dev/null 2>&1 ||
      fail "There is no image $registry/$service:$tag: $complaint"
  done
  say "those that are on this machine are taken, since the registry gave none: $complaint"
}

# Without a name of its own there would be no way back to a release.
refuse_moved() {
  local service id name image
  [[ $tag == "$(running_release)" ]] || return 0
  for service in $(rolled); do
    for id in $(running "$service"); do
      read -r name image < <(docker inspect --format '{{.Config.Image}} {{.Image}}' "$id")
      [[ ${name%@*} != "$registry/$service:$tag" || $image == "$(docker image inspect --format '{{.Id}}' "$registry/$service:$tag")" ]] ||
        fail "$tag runs already, and $registry/$service:$tag is another image now. Give what is new a tag of its own."
    done
  done
}

# What later commands for the stack are about, such as docker compose --env-file .env.production ps.
set_tag() {
  cp -p ".env.$STACK" ".env.$STACK.new"
  awk -v line="IMAGE_TAG=$tag" '/^IMAGE_TAG=/ { $0 = line; there = 1 } { print } END { if (!there) print line }' \
    ".env.$STACK" >".env.$STACK.new"
  mv -f ".env.$STACK.new" ".env.$STACK"
}

replicas() { # replicas SERVICE
  awk -v service="$1" '$1 == service { print $3 }' "$work/services"
}

with_schema() {
  local service
  for service in $(rolled); do
    [[ ! -d services/$service/prisma ]] || echo "$service"
  done
}

# every_container [FILTER…]: of the stack, each as SERVICE ID, the oldest first
every_container() {
  docker ps --all --no-trunc --format '{{.CreatedAt}}|{{.Label "com.docker.compose.service"}} {{.ID}}' \
    --filter "label=com.docker.compose.project=$project" --filter label=com.docker.compose.oneoff=False "$@" |
    sort | sed 's/.*|//'
}

rolled_containers() { # rolled_containers [FILTER…]
  every_container "$@" | awk -v rolled=" $(rolled | tr '\n' ' ')" 'index(rolled, " " $1 " ")'
}

containers() { # containers SERVICE [FILTER…]: their ids
  every_container "${@:2}" | ids_of "$1"
}

ids_of() { # ids_of SERVICE
  awk -v service="$1" '$1 == service { print $2 }'
}

running() { # running SERVICE
  containers "$1" --filter status=running
}

lines() { # lines TEXT: how many
  grep -c . <<<"$1" || true
}

# release TAG COMPOSE-ARGUMENT…: the stack, as it is with this release
release() {
  IMAGE_TAG=$1 docker compose "${@:2}"
}

# one_shots release|rehearsal TAG [OPTION…]: makes roles, schemas and the queue, for which the options are, and applies the
# migrations, for which a service has the password of the schemas' owner here, and nowhere else
one_shots() {
  local service secret
  secret=$(realpath "$(setting SECRETS_DIR)/migrator-password")
  provide "$@"
  for service in $(with_schema); do
    aloud "$1" "$2" run --rm --no-deps --no-TTY --label "keelson.deploy=$project" --env MIGRATE=run \
      --volume "$secret:/run/secrets/migrator-password:ro" "$service" true ||
      fail "$service $2: $(grep -m 1 'failed: ' "$work/output" || echo "its migrations failed: $complaint")"
  done
}

provide() { # provide release|rehearsal TAG [OPTION…]
  aloud "$1" "$2" run --rm --no-deps --no-TTY --label "keelson.deploy=$project" "${@:3}" provision ||
    fail "provision $2 failed: $complaint"
}

# By the socket of Postgres, which asks for no password.
as_superuser() { # as_superuser PSQL-OPTION…
  docker exec --interactive "$(running postgres)" psql --username=postgres --dbname=keelson --no-psqlrc --quiet \
    --set=ON_ERROR_STOP=1 "$@"
}

# psql asks twice, and hashes what it hears: a statement may be logged.
change_superuser() { # change_superuser PASSWORD
  printf '%s\n' "$1" "$1" | as_superuser --command='\password postgres' 2>"$work/output" ||
    fail "The superuser's password cannot be changed: $(tail -n 1 "$work/output")"
}

# What has not ended by itself.
remove_one_shots() {
  local ids
  ids=$(docker ps --all --quiet --filter "label=keelson.deploy=$project")
  # shellcheck disable=SC2086
  [[ ! $ids ]] || docker rm --force $ids >/dev/null
}

# The release that runs: the last that was brought here, or else what the first container is of.
running_release() {
  local release
  release=$(current_release)
  echo "${release:-$(running_tags | sed -n 1p)}"
}

# That of each container that a release has here.
running_tags() {
  local ids
  ids=$(rolled_containers --filter status=running | sed 's/.* //')
  # shellcheck disable=SC2086
  [[ ! $ids ]] || docker inspect --format '{{.Config.Image}}' $ids | sed 's/@.*//; s/.*://'
}

# Whether nothing else runs.
all_run() { # all_run TAG
  local tags
  tags=$(running_tags | sort -u)
  [[ ! $tags || $tags == "$1" ]]
}

# With the labels that Compose would give it, which finds it later and takes it for its own.
make_volume() { # make_volume NAME PROJECT
  docker volume create --label "com.docker.compose.project=$2" --label "com.docker.compose.volume=$1" "$2_$1" >/dev/null
}
