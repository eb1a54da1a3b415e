with l as materialized (
  select k.* from pg_catalog.pg_lock_status() as k
),
w as materialized (
  select distinct on (l.pid) l.* from l where l.pid = any ($1) and not l.granted order by l.pid
),
p as materialized (
  select t.*, (
    select l.virtualtransaction from l
    where l.granted and l.pid is null and l.locktype = 'transactionid' and l.transactionid = t.transaction
    limit 1
  ) as holder
  from pg_catalog.pg_prepared_xact() as t
)
select
  s.pid,
  w.locktype,
  w.mode,
  case
    when w.database = (
      select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database()
    ) then w.relation
  end,
  (
    select l.virtualtransaction from l
    where l.pid = s.pid and l.granted and l.locktype = 'virtualxid' and l.virtualxid = l.virtualtransaction
    limit 1
  ),
  case when w.pid is not null then pg_catalog.pg_blocking_pids(s.pid) end,
  (
    select pg_catalog.array_agg(v.value order by p.prepared, p.gid, v.place)
    from p
    cross join lateral (
      values
        (1, p.gid),
        (2, pg_catalog.pg_get_userbyid(p.ownerid)::pg_catalog.text),
        (3, (select d.datname::pg_catalog.text from pg_catalog.pg_database as d where d.oid = p.dbid)),
        (4, (extract(epoch from pg_catalog.clock_timestamp() - p.prepared) * 1000)::pg_catalog.int8::pg_catalog.text)
    ) as v (place, value)
    where exists (
      select from l
      where l.granted and l.pid is null and l.virtualtransaction = p.holder and l.locktype = w.locktype
        and (
          l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid::pg_catalog.text,
          l.classid, l.objid, l.objsubid
        ) is not distinct from (
          w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid::pg_catalog.text,
          w.classid, w.objid, w.objsubid
        )
    )
  )
from pg_catalog.unnest($1) as s (pid)
left join w on w.pid = s.pid
