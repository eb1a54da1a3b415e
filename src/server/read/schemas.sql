select
  n.oid, n.nspname, n.nspowner,
  exists (
    select from pg_catalog.pg_depend as d
    where d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.objid = n.oid and d.deptype = 'e'
  ),
  n.nspacl is null, x.codes, x.grantors
from pg_catalog.pg_namespace as n
cross join lateral @acl(n.nspacl, n.nspowner) as x
where n.nspname !~ '^pg_(toast|temp_|toast_temp_)'
