/**
 * RFC 4180: a field with a comma, a quote or a line end is quoted, a quote in it doubled; lines end in CRLF.
 * It is data for programs: a field that a spreadsheet would take for a formula (=, +, -, @) is written as it is.
 */
export const csvLine = (fields: string[]) => `${fields.map(quoted).join(',')}\r\n`;

const quoted = (field: string) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);
