# Sourced by what makes secrets.
# shellcheck shell=sh

new_password() {
  od -An -v -N 24 -tx1 /dev/urandom | tr -d ' \n'
}

# A container's user reads its secret as this file, so the folder is what keeps others out.
write_secret() { # write_secret FILE CONTENT
  (umask 333 && printf '%s\n' "$2" >"$1")
}
