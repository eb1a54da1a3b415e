select
  g.pronamespace, g.prokind, g.proowner,
  g.proacl is null, x.codes, x.grantors,
  g.oids, g.names
from (
  select
    p.pronamespace, p.prokind, p.proowner, p.proacl,
    pg_catalog.array_agg(p.oid) as oids,
    pg_catalog.array_agg(
      pg_catalog.quote_ident(p.proname) || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')'
    ) as names
  from pg_catalog.pg_proc as p
  where p.oid >= 16384 and @schemas(p.pronamespace)
  group by p.pronamespace, p.prokind, p.proowner, p.proacl
) as g
cross join lateral @acl(g.proacl, g.proowner) as x
