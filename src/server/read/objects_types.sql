select
  g.typnamespace, g.typowner,
  g.typacl is null, x.codes, x.grantors,
  g.oids, g.names
from (
  select
    t.typnamespace, t.typowner, t.typacl,
    pg_catalog.array_agg(t.oid) as oids,
    pg_catalog.array_agg(t.typname) as names
  from pg_catalog.pg_type as t
  left join pg_catalog.pg_class as c on c.oid = t.typrelid and c.relkind = 'c'
  where t.oid >= 16384
    and (t.typtype in ('e', 'd', 'r') or t.typtype = 'c' and c.oid is not null)
    and @schemas(t.typnamespace)
  group by t.typnamespace, t.typowner, t.typacl
) as g
cross join lateral @acl(g.typacl, g.typowner) as x
