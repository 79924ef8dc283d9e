/** A request that is to be refused, as the bytes that a hostile client sends. */
export type Malformed = { what: string; bytes: Buffer };

/** In the path of what may only arrive where two programs disagree on where a request ends. */
export const SMUGGLED = 'smuggled-through';

/**
 * Requests that are no HTTP/1.1 (RFC 9112), or that two programs could take for different ones. Those with a body try to
 * hide another request in it.
 */
export function malformedRequests(host: string): Malformed[] {
  const path = '/api/v1/openapi.json';
  const hidden = `GET /api/v1/workers/${SMUGGLED} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const request = (line: string, headers: string[] = [], body = '') =>
    [line, `Host: ${host}`, ...headers, '', body].join('\r\n');
  const get = (...headers: string[]) => request(`GET ${path} HTTP/1.1`, headers);
  const withBody = (headers: string[], body: string) => request(`GET ${path} HTTP/1.1`, headers, body);
  const chunked = (body: string) => withBody(['Transfer-Encoding: chunked'], body);
  const length = hidden.length;

  const texts: Record<string, string> = {
    // Where the body ends.
    'Content-Length with Transfer-Encoding': withBody(
      [`Content-Length: ${length + 5}`, 'Transfer-Encoding: chunked'],
      `0\r\n\r\n${hidden}`,
    ),
    'Transfer-Encoding with Content-Length': withBody(
      ['Transfer-Encoding: chunked', 'Content-Length: 4'],
      `${length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`,
    ),
    'two Content-Lengths that differ': withBody(['Content-Length: 2', `Content-Length: ${2 + length}`], `{}${hidden}`),
    'two Content-Lengths that agree': withBody(['Content-Length: 2', 'Content-Length: 2'], `{}${hidden}`),
    'a list of Content-Lengths': withBody(['Content-Length: 2, 2'], `{}${hidden}`),
    'a list of Content-Lengths that differ': withBody([`Content-Length: 2, ${2 + length}`], `{}${hidden}`),
    'a negative Content-Length': withBody(['Content-Length: -1'], `{}${hidden}`),
    'a Content-Length with a sign': withBody(['Content-Length: +2'], `{}${hidden}`),
    'a Content-Length in hexadecimals': withBody(['Content-Length: 0x2'], `{}${hidden}`),
    'a Content-Length with a fraction': withBody(['Content-Length: 2.0'], `{}${hidden}`),
    'a Content-Length with a space in it': withBody(['Content-Length: 2 0'], `{}${hidden}`),
    'a Content-Length that is no number': withBody(['Content-Length: two'], `{}${hidden}`),
    'an empty Content-Length': withBody(['Content-Length:'], `{}${hidden}`),
    'a Content-Length past 64 bits': withBody(['Content-Length: 18446744073709551618'], `{}${hidden}`),
    'an unknown transfer coding': withBody(['Transfer-Encoding: cow'], `0\r\n\r\n${hidden}`),
    'a transfer coding that only ends like chunked': withBody(['Transfer-Encoding: xchunked'], `0\r\n\r\n${hidden}`),
    'chunked that is not the last coding': withBody(['Transfer-Encoding: chunked, identity'], `0\r\n\r\n${hidden}`),
    'another coding before chunked': withBody(['Transfer-Encoding: gzip, chunked'], `0\r\n\r\n${hidden}`),
    'chunked twice in a list': withBody(['Transfer-Encoding: chunked, chunked'], `0\r\n\r\n${hidden}`),
    'two Transfer-Encodings': withBody(['Transfer-Encoding: chunked', 'Transfer-Encoding: cow'], `0\r\n\r\n${hidden}`),
    'a quoted transfer coding': withBody(['Transfer-Encoding: "chunked"'], `0\r\n\r\n${hidden}`),
    'a transfer coding after a vertical tab': withBody(['Transfer-Encoding:\vchunked'], `0\r\n\r\n${hidden}`),
    'HTTP/1.0 with a Transfer-Encoding': withBody(['Transfer-Encoding: chunked'], `0\r\n\r\n${hidden}`).replace(
      '1.1',
      '1.0',
    ),

    // Chunks.
    'a chunk size that is no number': chunked(`zz\r\n{}\r\n0\r\n\r\n${hidden}`),
    'a negative chunk size': chunked(`-2\r\n{}\r\n0\r\n\r\n${hidden}`),
    'a chunk size with a prefix': chunked(`0x2\r\n{}\r\n0\r\n\r\n${hidden}`),
    'a chunk size past 64 bits': chunked(`10000000000000002\r\n{}\r\n0\r\n\r\n${hidden}`),
    'a chunk size after a space': chunked(` 2\r\n{}\r\n0\r\n\r\n${hidden}`),
    'an empty chunk size': chunked(`\r\n{}\r\n0\r\n\r\n${hidden}`),
    'a chunk that is longer than its size': chunked(`2\r\n{}x\r\n0\r\n\r\n${hidden}`),
    'a chunk that no line end follows': chunked(`2\r\n{}0\r\n\r\n${hidden}`),
    'a chunk size that ends with a bare CR': chunked(`2\r{}\r\n0\r\n\r\n${hidden}`),
    'a NUL in a chunk size': chunked(`2\0\r\n{}\r\n0\r\n\r\n${hidden}`),

    // Header lines.
    'a header that is folded': get('X-Folded: one', ' two'),
    'a Transfer-Encoding that is folded': withBody(['Transfer-Encoding:', ' chunked'], `0\r\n\r\n${hidden}`),
    'a space before the colon': get('X-Spaced : 1'),
    'a Content-Length with a space before the colon': withBody(['Content-Length : 2'], `{}${hidden}`),
    'a Transfer-Encoding with a space before the colon': withBody(
      ['Transfer-Encoding : chunked'],
      `0\r\n\r\n${hidden}`,
    ),
    'a space before the first header': `GET ${path} HTTP/1.1\r\n Host: ${host}\r\n\r\n`,
    'a header without a name': get(': 1'),
    'a NUL in the name of a header': get('X-N\0ame: 1'),
    'a NUL in a header': get('X-Name: a\0b'),
    'a bare CR in a header': get('X-Name: a\rX-Other: b'),
    'a bare CR as the end of a header': get(`X-Name: a\rContent-Length: ${length}`),
    'a header of 20 kB': get(`X-Long: ${'a'.repeat(20_000)}`),
    'headers of 100 kB': get(...Array.from({ length: 100 }, (_, index) => `X-Long-${index}: ${'a'.repeat(1000)}`)),

    // Which host it is for.
    'no Host': `GET ${path} HTTP/1.1\r\n\r\n`,
    'two Hosts': get('Host: other.example.com'),
    'two Hosts that agree': get(`Host: ${host}`),
    'a Host with a path': `GET ${path} HTTP/1.1\r\nHost: ${host}/x\r\n\r\n`,
    'a Host with a space': `GET ${path} HTTP/1.1\r\nHost: a b\r\n\r\n`,
    'an address with a host': request(`GET http://${host}${path} HTTP/1.1`),
    'an address with another host': request(`GET http://other.example.com${path} HTTP/1.1`),

    // The first line.
    'HTTP/0.9': `GET ${path}\r\n\r\n`,
    'HTTP/1.1 without an address': request('GET HTTP/1.1'),
    'HTTP/2 in a line': request(`GET ${path} HTTP/2.0`),
    'HTTP/9.9': request(`GET ${path} HTTP/9.9`),
    'a version in small letters': request(`GET ${path} http/1.1`),
    'a version with two digits': request(`GET ${path} HTTP/1.10`),
    'a version that ends early': request(`GET ${path} HTTP/1.`),
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'an unknown method': request(`KEELSON ${path} HTTP/1.1`),
    'a method in small letters': request(`get ${path} HTTP/1.1`),
    'a method with a letter that is none': request(`G(T ${path} HTTP/1.1`),
    'no method': request(`${path} HTTP/1.1`),
    CONNECT: request('CONNECT other.example.com:443 HTTP/1.1'),
    'a space before the method': request(` GET ${path} HTTP/1.1`),
    'a tab for a space': request(`GET\t${path}\tHTTP/1.1`),
    'a space in the address': request(`GET ${path} more HTTP/1.1`),
    'a NUL in the address': request(`GET ${path}\0 HTTP/1.1`),
    'a bare CR in the address': request(`GET ${path}\rX HTTP/1.1`),
    'an address without a slash': request('GET api/v1/workers HTTP/1.1'),
    'an address of 20 kB': request(`GET /${'a'.repeat(20_000)} HTTP/1.1`),
    'TLS where HTTP is spoken': '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n',
  };
  return Object.entries(texts).map(([what, text]) => ({ what, bytes: Buffer.from(text, 'latin1') }));
}
