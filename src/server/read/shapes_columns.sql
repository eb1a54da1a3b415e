select
  c.relnamespace, c.relname, c.oid, c.relkind, c.relowner, c.relrowsecurity, c.relforcerowsecurity,
  a.attname, a.attname = any ($1::pg_catalog.name[]),
  a.attname = 'version_num' and a.atttypid in (
    'pg_catalog.varchar'::pg_catalog.regtype, 'pg_catalog.text'::pg_catalog.regtype,
    'pg_catalog.bpchar'::pg_catalog.regtype
  ),
  c.relnatts, a.atttypid,
  a.attacl is null, x.codes, x.grantors
from (
  select t.attrelid, t.attname, t.atttypid, t.attacl
  from pg_catalog.pg_attribute as t
  where (t.attacl is not null or t.attname = 'version_num' or t.attname = any ($1::pg_catalog.name[]))
    and t.attrelid >= 16384
    and t.attnum > 0
    and not t.attisdropped
) as a
join pg_catalog.pg_class as c on c.oid = a.attrelid
cross join lateral @acl(a.attacl, c.relowner) as x
where (c.relkind = 'r' or c.relkind = 'p' or c.relkind = 'v' or c.relkind = 'm' or c.relkind = 'f')
  and c.relpersistence <> 't'
