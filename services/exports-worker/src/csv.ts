/** RFC 4180: a field with a comma, a quote or a line end is quoted, a quote in it doubled; lines end in CRLF. */
export const csvLine = (fields: string[]) => `${fields.map(quoted).join(',')}\r\n`;

const quoted = (field: string) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);
