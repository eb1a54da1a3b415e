select
  p.oid, p.pronamespace,
  pg_catalog.quote_ident(p.proname) || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')',
  p.prosecdef, coalesce(p.proconfig, '{}'), pg_catalog.left(p.prosrc, 65536)
from pg_catalog.pg_proc as p
join pg_catalog.pg_language as l on l.oid = p.prolang
where p.oid >= 16384
  and l.lanname <> 'c' and l.lanname <> 'internal'
  and (
    p.pronamespace = any ($1)
    or exists (
      select from pg_catalog.pg_namespace as n
      where n.oid = any ($1) and pg_catalog.strpos(p.prosrc, n.nspname::pg_catalog.text) > 0
    )
  )
  and not exists (
    select from pg_catalog.pg_depend as d
    where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e'
  )
order by p.oid
