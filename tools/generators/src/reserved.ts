const words = (text: string) => new Set(text.trim().split(/\s+/));

/** Names of containers, roles, schemas, networks and folders that the stack has already. */
export const STACK_NAMES = words(`
  adminer api backup backups console data database deploy edge gateway graphile-worker healthz information-schema internal job
  loopback media metrics migrator nginx openapi postgres provision proxy public queue queue-user readyz template0 template1
  worker
`);

/** What no service can be called: it would be taken for a part of the stack, or for the whole. */
export const RESERVED_NAMES = new Set([...STACK_NAMES, 'keelson', 'keelson-api']);

/** What Postgres refuses as the name of a schema unless it is quoted. */
export const SQL_KEYWORDS = words(`
  all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
  concurrently constraint create cross current_catalog current_date current_role current_schema current_time
  current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
  full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
  localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references
  returning right select session_user similar some symmetric system_user table tablesample then to trailing true union
  unique user using variadic verbose when where window with
`);

/** What YAML takes for something else than a text; the others that it does are keywords of Postgres, too. */
export const YAML_WORDS = words('no off yes');

/** Words of TypeScript, names that Prisma keeps for itself, and names that the templates use already. */
export const RESERVED_RESOURCES = words(`
  abstract any as async await boolean break case catch class const continue debugger declare default delete do else enum
  export extends false finally for from function get if implements import in instanceof interface is keyof let module
  namespace never new null number of package private protected public readonly require return set static string super
  switch symbol this throw true try type typeof undefined unknown var void while with yield
  array big-int buffer bytes date date-time decimal error float int json map object omit partial promise proxy record
  constructor prototype then to-string value-of has-own-property
  prisma prisma-client sql enumerable transaction-client
  answer app checked-api client config database idempotent-answer logger main operation pool problem row service smoke sort
`);

/** Files and functions of the templates, to which a job would give its name, too. */
export const RESERVED_JOBS = words(`
  close-with-grace create-database create-logger create-pool create-test-database create-test-queue define-job reason-of
  schema-of start-process start-worker testing-process
`);
