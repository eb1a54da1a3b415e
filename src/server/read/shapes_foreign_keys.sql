with referenced as materialized (
  select distinct k.confrelid from pg_catalog.pg_constraint as k where k.contype = 'f'
),
placed as materialized (
  select
    r.confrelid,
    (select c.relnamespace from pg_catalog.pg_class as c where c.oid = r.confrelid) as namespace
  from referenced as r
)
select k.conname, k.connamespace, f.relname, p.namespace, t.relname, k.convalidated
from pg_catalog.pg_constraint as k
join placed as p on p.confrelid = k.confrelid
join pg_catalog.pg_class as f on f.oid = k.conrelid
join pg_catalog.pg_class as t on t.oid = k.confrelid
where k.contype = 'f'
  and k.conparentid = 0
  and (k.connamespace <> p.namespace or not k.convalidated)
