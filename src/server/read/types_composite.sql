select
  g.typnamespace, g.typowner, g.members, g.extension,
  g.typacl is null, x.codes, x.grantors
from (
  select
    t.typnamespace, t.typowner, t.typacl,
    t.oid in (
      select d.objid from pg_catalog.pg_depend as d
      where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and d.refobjid in (select e.oid from pg_catalog.pg_extension as e)
        and d.deptype = 'e'
        and d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
    ) as extension,
    pg_catalog.count(*) as members
  from pg_catalog.pg_class as c
  join pg_catalog.pg_type as t on t.oid = c.reltype
  where c.relkind = 'c' and c.oid >= 16384
  group by 1, 2, 3, 4
) as g
cross join lateral @acl(g.typacl, g.typowner) as x
