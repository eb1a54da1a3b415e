select d.objid, d.refobjid
from pg_catalog.pg_depend as d
where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
  and d.refobjid in (select e.oid from pg_catalog.pg_extension as e)
  and d.deptype = 'e'
  and d.objsubid = 0
