select
  g.relnamespace, g.relkind, g.relowner, g.members, g.pages, g.rls,
  g.relacl is null, x.codes, x.grantors
from (
  select
    c.relnamespace, c.relkind, c.relowner, c.relacl,
    pg_catalog.count(*) as members,
    pg_catalog.sum(c.relpages::pg_catalog.int8)::pg_catalog.int8 as pages,
    pg_catalog.count(*) filter (where c.relrowsecurity) as rls
  from pg_catalog.pg_class as c
  where c.relkind <> 'i' and c.relkind <> 't' and c.relkind <> 'I'
  group by c.relnamespace, c.relkind, c.relowner, c.relacl
) as g
cross join lateral @acl(g.relacl, g.relowner) as x
