select p.name
from pg_catalog.unnest($1::pg_catalog.text[]) as p (name)
join pg_catalog.pg_class as c on c.oid = pg_catalog.to_regclass(p.name)
where @stirs
   or not (
     select pg_catalog.count(*) = 1
        and pg_catalog.bool_and(
              a.attgenerated = '' and a.atttypid in (
                'pg_catalog.varchar'::pg_catalog.regtype, 'pg_catalog.text'::pg_catalog.regtype,
                'pg_catalog.bpchar'::pg_catalog.regtype
              )
            )
     from pg_catalog.pg_attribute as a
     where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
   )
