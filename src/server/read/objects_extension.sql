select d.objid, d.refobjid, coalesce(t.typnamespace, 0::pg_catalog.oid), t.typname
from pg_catalog.pg_depend as d
left join pg_catalog.pg_type as t on t.oid = d.objid and d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
  and d.refobjid in (select e.oid from pg_catalog.pg_extension as e)
  and d.deptype = 'e'
  and d.objsubid = 0
