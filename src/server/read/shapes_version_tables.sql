select a.attrelid
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c on c.oid = a.attrelid
where a.attname = 'version_num'
  and a.attrelid >= 16384
  and a.attnum > 0
  and a.atttypid in (
    'pg_catalog.varchar'::pg_catalog.regtype, 'pg_catalog.text'::pg_catalog.regtype,
    'pg_catalog.bpchar'::pg_catalog.regtype
  )
  and c.relkind = 'r'
  and c.relnatts <= 8
