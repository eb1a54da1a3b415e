select
  p.pronamespace,
  pg_catalog.quote_ident(p.proname) || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')',
  p.proowner, p.proconfig,
  exists (
    select from pg_catalog.pg_depend as d
    where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e'
  ),
  p.proacl is null, x.codes, x.grantors
from pg_catalog.pg_proc as p
cross join lateral @acl(p.proacl, p.proowner) as x
where p.prosecdef and p.oid >= 16384
