# Sourced by the verbs that need what only identity-api knows, after running-stack.sh.
# shellcheck shell=sh

# in_identity_api PROGRAM [ARGUMENT…]: one of its programs, where it runs: with its secrets, and its database.
in_identity_api() {
  program=$1
  shift
  if [ "${STACK:-}" ] && container=$(swarm_container) && [ "$container" ]; then
    docker exec "$container" node "$program.mjs" "$@"
    return
  fi
  stack=$(running_stack "${wanted:-}")
  case $stack in
    compose)
      # shellcheck disable=SC2016
      docker compose exec -T identity-api sh -c 'if [ -e "$0.mjs" ]; then exec node "$0.mjs" "$@"; fi; exec node "src/$0.ts" "$@"' "$program" "$@"
      ;;
    native)
      node tools/toolchain/with-node.mjs node --env-file="${native_file%stack.json}identity.env" \
        "services/identity-api/src/$program.ts" "$@"
      ;;
  esac
}

swarm_container() {
  project=$(docker compose config 2>/dev/null | sed -n 's/^name: //p')
  docker ps --quiet --filter "label=com.docker.swarm.service.name=${project}_identity-api" 2>/dev/null | head -n 1
}
