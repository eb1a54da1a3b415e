select
  n.oid, n.nspname, n.nspowner,
  n.oid in (
    select d.objid from pg_catalog.pg_depend as d
    where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
      and d.refobjid in (select e.oid from pg_catalog.pg_extension as e)
      and d.deptype = 'e'
      and d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
  ),
  n.nspacl is null, x.codes, x.grantors
from pg_catalog.pg_namespace as n
cross join lateral @acl(n.nspacl, n.nspowner) as x
where n.nspname !~ '^pg_(toast|temp_|toast_temp_)'
