select d.objid, d.refobjid
from pg_catalog.pg_depend as d
join pg_catalog.pg_class as c on c.oid = d.objid and c.relkind = 'S'
where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
  and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  and d.deptype in ('a', 'i')
  and @schemas(c.relnamespace)
