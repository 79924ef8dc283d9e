/**
 * Reads CSV as RFC 4180 has it, and nothing more lenient: every record ends in CRLF, quotes stand around a whole field
 * or are doubled inside one, and a field with a comma, a quote or a line break is quoted.
 */
export function readCsv(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  const field = /"((?:[^"]|"")*)"(,|\r\n)|([^",\r\n]*)(,|\r\n)/y;
  while (field.lastIndex < text.length) {
    const from = field.lastIndex;
    const found = field.exec(text);
    if (!found) throw new Error(`no CSV from character ${from} on: ${JSON.stringify(text.slice(from, from + 80))}`);
    record.push(found[1]?.replaceAll('""', '"') ?? found[3]!);
    if ((found[2] ?? found[4]) === ',') continue;
    records.push(record);
    record = [];
  }
  if (record.length > 0) throw new Error('the last record does not end in CRLF');
  return records;
}
