with recursive asks as materialized (
  select c.relnamespace as origin, c.oid as view, m.hit
  from pg_catalog.pg_class as c
  left join pg_catalog.pg_rewrite as r on r.ev_class = c.oid and r.ev_type = '1'
  left join lateral pg_catalog.regexp_matches(r.ev_action::pg_catalog.text, @permissions, 'g') as m (hit) on true
  where c.relkind = 'v'
    and @schemas(c.relnamespace)
  union
  select a.origin, c.oid, m.hit
  from asks as a
  join pg_catalog.pg_class as c
    on c.oid = case when a.hit[2] <> '0' then a.hit[1]::pg_catalog.oid end and c.relkind = 'v' and c.oid >= 16384
  left join pg_catalog.pg_rewrite as r on r.ev_class = c.oid and r.ev_type = '1'
  left join lateral pg_catalog.regexp_matches(r.ev_action::pg_catalog.text, @permissions, 'g') as m (hit) on true
  where not @schemas(c.relnamespace)
),
stored as materialized (
  select
    d.view,
    (
      pg_catalog.left(r.tree, 800) ~ '^\(\{QUERY [^{}()]*:has(Aggs|WindowFuncs|TargetSRFs) true'
      or pg_catalog.left(r.tree, 800) ~ '^\(\{QUERY [^{}()]*:cteList \('
      or pg_catalog.left(pg_catalog.split_part(r.tree, ' :groupClause ', -1), 1) = '('
      or pg_catalog.left(pg_catalog.split_part(r.tree, ' :groupingSets ', -1), 1) = '('
      or pg_catalog.left(pg_catalog.split_part(r.tree, ' :havingQual ', -1), 1) = '{'
      or pg_catalog.left(pg_catalog.split_part(r.tree, ' :distinctClause ', -1), 1) = '('
      or pg_catalog.left(pg_catalog.split_part(r.tree, ' :limitOffset ', -1), 1) = '{'
      or pg_catalog.left(pg_catalog.split_part(r.tree, ' :limitCount ', -1), 1) = '{'
      or pg_catalog.left(pg_catalog.split_part(r.tree, ' :setOperations ', -1), 1) = '{'
    ) as unwritable
  from (select distinct b.view from asks as b) as d
  join pg_catalog.pg_rewrite as q on q.ev_class = d.view and q.ev_type = '1'
  cross join lateral (select q.ev_action::pg_catalog.text as tree offset 0) as r
)
select
  a.origin, v.oid, v.relowner, v.reloptions,
  exists (
    select from pg_catalog.pg_trigger as t where t.tgrelid = v.oid and t.tgtype & 64 <> 0
  ) or exists (
    select from pg_catalog.pg_rewrite as r where r.ev_class = v.oid and r.ev_type <> '1'
  ),
  coalesce(s.unwritable, false),
  (
    select pg_catalog.array_agg(d.attname) from pg_catalog.pg_attribute as d
    where d.attrelid = v.oid and d.atthasdef and not d.attisdropped
  ),
  u.oid, u.relnamespace, n.nspname, u.relname, u.relkind, u.relowner,
  pg_catalog.int4(a.hit[2]::pg_catalog.int8),
  (
    select pg_catalog.array_agg(t.attname order by t.attnum) from pg_catalog.pg_attribute as t
    where t.attrelid = u.oid
      and not t.attisdropped
      and (t.attnum + 7 = any (b.columns) or 7 = any (b.columns) and t.attnum > 0)
  ),
  7 = any (b.columns),
  u.relacl is null, x.codes, x.grantors
from asks as a
join pg_catalog.pg_class as v on v.oid = a.view
left join stored as s on s.view = a.view
left join pg_catalog.pg_class as u on u.oid = case when a.hit[2] <> '0' then a.hit[1]::pg_catalog.oid end
left join pg_catalog.pg_namespace as n on n.oid = u.relnamespace
cross join lateral (
  select pg_catalog.string_to_array(pg_catalog.btrim(a.hit[3]), ' ')::pg_catalog.int4[] as columns
) as b
cross join lateral @acl(u.relacl, u.relowner) as x
