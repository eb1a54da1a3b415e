select
  g.pronamespace, g.prokind, g.proowner, g.members, g.extension,
  g.proacl is null, x.codes, x.grantors
from (
  select
    p.pronamespace, p.prokind, p.proowner, p.proacl,
    p.oid in (
      select d.objid from pg_catalog.pg_depend as d
      where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and d.refobjid in (select e.oid from pg_catalog.pg_extension as e)
        and d.deptype = 'e'
        and d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    ) as extension,
    pg_catalog.count(*) as members
  from pg_catalog.pg_proc as p
  where p.oid >= 16384
  group by 1, 2, 3, 4, 5
) as g
cross join lateral @acl(g.proacl, g.proowner) as x
