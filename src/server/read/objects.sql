select
  g.relnamespace, g.relkind, g.relowner,
  g.relacl is null, x.codes, x.grantors,
  g.oids, g.names, g.rls, g.forced, g.tuples
from (
  select
    c.relnamespace, c.relkind, c.relowner, c.relacl,
    pg_catalog.array_agg(c.oid) as oids,
    pg_catalog.array_agg(c.relname) as names,
    pg_catalog.array_agg(c.relrowsecurity) as rls,
    pg_catalog.array_agg(c.relforcerowsecurity) as forced,
    pg_catalog.array_agg(c.reltuples::pg_catalog.int8) as tuples
  from pg_catalog.pg_class as c
  where c.relkind <> 'i' and c.relkind <> 't' and c.relkind <> 'I' and c.relkind <> 'c'
    and @schemas(c.relnamespace)
  group by c.relnamespace, c.relkind, c.relowner, c.relacl
) as g
cross join lateral @acl(g.relacl, g.relowner) as x
