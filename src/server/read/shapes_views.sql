select
  v.relnamespace, v.relname, v.relowner, v.relkind = 'm', v.reloptions,
  u.relnamespace, u.relname, u.relowner, u.relrowsecurity, u.relforcerowsecurity
from (
  select distinct r.ev_class, d.refobjid
  from pg_catalog.pg_depend as d
  join pg_catalog.pg_rewrite as r on r.oid = d.objid
  where d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    and d.objid >= 16384
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.refobjid >= 16384
    and d.refobjid <> r.ev_class
) as e
join pg_catalog.pg_class as v on v.oid = e.ev_class
join pg_catalog.pg_class as u on u.oid = e.refobjid
where (v.relkind = 'v' or v.relkind = 'm')
  and u.relkind <> 'S'
  and v.relpersistence <> 't'
  and (u.relrowsecurity or v.relnamespace <> u.relnamespace)
