select
  c.relnamespace, c.relname, c.oid, c.relkind, c.relowner,
  a.attname, a.atttypid, a.attacl is not null,
  a.attacl is null, x.codes, x.grantors
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c on c.oid = a.attrelid
cross join lateral @acl(a.attacl, c.relowner) as x
where (a.attacl is not null or a.attname = 'version_num' or a.attname = any ($1::pg_catalog.name[]))
  and not a.attisdropped
  and c.oid >= 16384
  and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and c.relpersistence <> 't'
