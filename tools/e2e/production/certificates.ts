import { X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ComposeStack } from '../compose/compose-stack.ts';

export type Certificates = {
  /** Who issued the valid one. */
  authority: string;
  /** Of the valid one. */
  fingerprint: string;
};

/** openssl commands that write NAME.pem and NAME.key, good ones and bad ones. */
const commands = (domain: string) => `
  set -eu
  cd "$(mktemp -d)"
  key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$1.key"; }
  make() { # make NAME HOST [OPTION…]
    name=$1 host=$2
    shift 2
    key "$name"
    openssl req -x509 -key "$name.key" -out "$name.pem" -subj "/CN=$name" -addext "subjectAltName=DNS:$host" "$@"
  }
  make authority authority -days 30
  make valid ${domain} -days 30 -CA authority.pem -CAkey authority.key -addext basicConstraints=critical,CA:FALSE
  cat authority.pem >>valid.pem
  make other other.keelson.test -days 30
  make expired ${domain} -not_before 20200101000000Z -not_after 20200201000000Z
  make later ${domain} -not_before 20990101000000Z -not_after 20990201000000Z
  make client ${domain} -days 30 -addext extendedKeyUsage=clientAuth
  make locked ${domain} -days 30
  openssl pkey -in locked.key -aes256 -passout pass:secret -out locked.new
  mv locked.new locked.key
  for file in *; do echo "=== $file"; cat "$file"; done
`;

/** Makes certificates in the folder certificates/, with the openssl of the proxy's image. */
export async function certificatesFor(domain: string, stack: ComposeStack, folder: string): Promise<Certificates> {
  const image = `${stack.project}/proxy:test`;
  const { status, stdout, output } = await stack.docker(
    ...['run', '--rm', '--user=0', '--entrypoint=sh', image, '-c', commands(domain)],
  );
  if (status !== 0) throw new Error(`openssl failed:\n${output}`);
  const files = Object.fromEntries(
    stdout
      .split(/^=== /m)
      .slice(1)
      .map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)]),
  );
  mkdirSync(join(folder, 'certificates'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, 'certificates', name), content);
  return { authority: files['authority.pem']!, fingerprint: new X509Certificate(files['valid.pem']!).fingerprint256 };
}
