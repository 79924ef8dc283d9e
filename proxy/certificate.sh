#!/bin/sh
# The certificate in the volume /certificates: `current` there is a link to a folder with fullchain.pem and privkey.pem.
# Without an argument, as /docker-entrypoint.d runs it: says what to do where TLS is on and there is none yet. The others are
# for scripts/certificate:
#
#   show           prints which one there is
#   self-signed    installs one that is made here
#   install        installs what comes on stdin: the certificates, a line "=== KEY ===", the key
#   reload         makes nginx take it up, and ends once it is the one that is served
#
# Installing needs root, the capability CHOWN and the volume writable at /writable; and DOMAIN, as reload does.
set -eu
umask 077

refuse() {
  echo "$1" >&2
  exit 1
}

required() {
  case $PROXY_TLS in
    on) ;;
    off) return ;;
    *)
      echo "PROXY_TLS is \"$PROXY_TLS\": it must be on or off" >&2
      exit 78 # EX_CONFIG
      ;;
  esac
  for file in fullchain.pem privkey.pem; do
    [ -r "/certificates/current/$file" ] && continue
    echo "TLS is on, and there is no certificate: scripts/certificate installs one, or makes one with --self-signed" >&2
    exit 78
  done
}

show() {
  cd /certificates/current 2>/dev/null || refuse 'There is no certificate yet.'
  openssl x509 -in fullchain.pem -noout -subject -issuer -ext subjectAltName -startdate -enddate
  openssl x509 -in fullchain.pem -noout -checkend 0 >/dev/null || refuse 'It has expired.'
}

# In a new folder of the volume, which is removed again unless it becomes the current one.
install_made_by() { # install_made_by FUNCTION, which makes fullchain.pem and privkey.pem
  exec 9>/writable/lock
  flock 9
  new=$(mktemp -d /writable/XXXXXX)
  trap 'rm -rf "$new"' EXIT
  cd "$new"
  "$1"
  check
  chmod 0755 .
  chmod 0444 fullchain.pem
  chmod 0400 privkey.pem
  chown nginx:nginx privkey.pem
  ln -sfn "${new##*/}" /writable/next
  mv -T /writable/next /writable/current
  trap - EXIT
  for folder in /writable/*/; do
    [ "$folder" = "$new/" ] || [ -L "${folder%/}" ] || rm -rf "$folder"
  done
}

self_signed() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -keyout privkey.pem -out fullchain.pem \
    -days 90 -subj /CN=self-signed -addext "subjectAltName=DNS:$DOMAIN" -addext basicConstraints=critical,CA:FALSE \
    -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=serverAuth 2>/dev/null
}

given() {
  cat >given
  sed '/^=== KEY ===$/,$d' given >fullchain.pem
  sed '1,/^=== KEY ===$/d' given >privkey.pem
  rm given
}

check() {
  certificate -text >/dev/null 2>&1 || refuse 'The first file holds no certificate in PEM form.'
  public=$(openssl pkey -in privkey.pem -passin pass: -pubout 2>/dev/null) ||
    refuse 'The second file holds no private key in PEM form that needs no passphrase.'
  [ "$public" = "$(certificate -pubkey)" ] || refuse 'The key is not that of the certificate.'
  certificate -checkend 0 >/dev/null || refuse "The certificate has expired: $(certificate -enddate)."
  certificate -checkhost "$DOMAIN" | grep -q 'does match' ||
    refuse "The certificate is not for $DOMAIN: $(certificate -ext subjectAltName 2>/dev/null | tail -n 1 | sed 's/^ *//')."
  reason=$(openssl verify -partial_chain -CAfile fullchain.pem -purpose sslserver fullchain.pem 2>&1) ||
    refuse "The certificate is of no use to a server: $(echo "$reason" | sed -n 's/.*lookup: //p')."
}

# Of the first one in the file, which is the server's.
certificate() {
  openssl x509 -in fullchain.pem -noout "$@"
}

# Workers that are about to end may take connections for a moment longer: hence several answers in a row.
reload() {
  nginx -s reload 2>&1 | grep -v 'signal process started' >&2 || true
  wanted=$(fingerprint </certificates/current/fullchain.pem)
  in_a_row=0
  for _ in $(seq 100); do
    if [ "$(served | fingerprint)" = "$wanted" ]; then in_a_row=$((in_a_row + 1)); else in_a_row=0; fi
    [ "$in_a_row" -lt 5 ] || return 0
    sleep 0.1
  done
  refuse 'It is not served after 10 s: see the log of the proxy.'
}

served() {
  curl --silent --insecure --haproxy-protocol --resolve "$DOMAIN:8443:127.0.0.1" --output /dev/null --write-out '%{certs}' \
    "https://$DOMAIN:8443/healthz"
}

fingerprint() {
  openssl x509 -noout -fingerprint -sha256 2>&1
}

case ${1:-} in
  '') required ;;
  show) show ;;
  self-signed) install_made_by self_signed ;;
  install) install_made_by given ;;
  reload) reload ;;
esac
