select
  r.oid, n.oid,
  pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE'),
  pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE'),
  t.total, t.selects, t.inserts, t.updates, t.deletes, t.truncates, t.columns,
  f.total, f.executes
from pg_catalog.pg_roles as r
cross join pg_catalog.pg_namespace as n
cross join lateral (
  select
    pg_catalog.count(*) as total,
    pg_catalog.count(*) filter (where pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT')) as selects,
    pg_catalog.count(*) filter (where pg_catalog.has_table_privilege(r.oid, c.oid, 'INSERT')) as inserts,
    pg_catalog.count(*) filter (where pg_catalog.has_table_privilege(r.oid, c.oid, 'UPDATE')) as updates,
    pg_catalog.count(*) filter (where pg_catalog.has_table_privilege(r.oid, c.oid, 'DELETE')) as deletes,
    pg_catalog.count(*) filter (where pg_catalog.has_table_privilege(r.oid, c.oid, 'TRUNCATE')) as truncates,
    pg_catalog.count(*) filter (
      where not pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT')
        and pg_catalog.has_any_column_privilege(r.oid, c.oid, 'SELECT')
    ) as columns
  from pg_catalog.pg_class as c
  where c.relnamespace = n.oid
    and (c.relkind = 'r' or c.relkind = 'p' or c.relkind = 'v' or c.relkind = 'm' or c.relkind = 'f')
) as t
cross join lateral (
  select
    pg_catalog.count(*) as total,
    pg_catalog.count(*) filter (where pg_catalog.has_function_privilege(r.oid, p.oid, 'EXECUTE')) as executes
  from pg_catalog.pg_proc as p
  where p.pronamespace = n.oid
) as f
where r.oid = any ($1) and n.oid = any ($2)
