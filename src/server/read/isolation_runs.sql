with recursive
  it as materialized (
    select c.oid
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = $1[1] and c.relname = $1[2]
  ),
  below as materialized (
    select it.oid from it
    union
    select i.inhrelid from pg_catalog.pg_inherits as i join below as b on b.oid = i.inhparent
  ),
  met as materialized (
    select d.refclassid, d.refobjid
    from it
    join pg_catalog.pg_policy as p on p.polrelid = it.oid
    join pg_catalog.pg_depend as d
      on d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.objid = p.oid
    where not (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = it.oid)
      and d.refclassid <> 'pg_catalog.pg_collation'::pg_catalog.regclass
      and not (
        d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
        and exists (select from pg_catalog.pg_type as t where t.oid = d.refobjid and t.typtype = 'e')
      )
    union
    select 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid
    from below
    join pg_catalog.pg_class as c on c.oid = below.oid
    where c.relkind = 'f'
  )
select pg_catalog.pg_describe_object(met.refclassid, met.refobjid, 0)
from met
order by 1
limit 4
