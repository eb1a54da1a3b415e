select c.relname, pg_catalog.array_agg(c.relnamespace)
from pg_catalog.pg_class as c
where (c.relkind = 'r' or c.relkind = 'p')
  and c.oid >= 16384
  and not c.relispartition
  and c.relpersistence <> 't'
  and c.oid not in (
    select d.objid from pg_catalog.pg_depend as d
    where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
      and d.refobjid in (select e.oid from pg_catalog.pg_extension as e)
      and d.deptype = 'e'
      and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
  )
group by c.relname
having pg_catalog.count(*) > 1
