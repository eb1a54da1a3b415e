select
  c.oid, c.relnamespace, c.relname, c.relowner, c.relkind, c.relpersistence,
  c.relrowsecurity, c.relispartition,
  (select pg_catalog.count(*) > 0 from pg_catalog.pg_inherits as i where i.inhrelid = c.oid),
  (select pg_catalog.count(*) > 0 from pg_catalog.pg_index as i where i.indrelid = c.oid and i.indisprimary),
  (
    select pg_catalog.count(*) = 1
       and pg_catalog.bool_and(
             a.attname = 'version_num'
             and a.atttypid in (
               'pg_catalog.varchar'::pg_catalog.regtype, 'pg_catalog.text'::pg_catalog.regtype,
               'pg_catalog.bpchar'::pg_catalog.regtype
             )
           )
    from pg_catalog.pg_attribute as a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  ),
  (
    me.reads
    or exists (
      select from pg_catalog.aclexplode(coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) as a
      where a.privilege_type = 'SELECT' and (a.grantee = 0 or pg_catalog.pg_has_role(a.grantee, 'usage'))
    )
  ) and (
    me.reads
    or me.writes
    or exists (
      select from pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) as a
      where a.privilege_type = 'USAGE' and (a.grantee = 0 or pg_catalog.pg_has_role(a.grantee, 'usage'))
    )
  ),
  pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_updated(c.oid)
    + pg_catalog.pg_stat_get_tuples_deleted(c.oid),
  @stirs,
  c.relacl is null, x.codes, x.grantors
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join (
  select
    r.rolsuper or pg_catalog.pg_has_role('pg_read_all_data'::pg_catalog.name, 'usage') as reads,
    pg_catalog.pg_has_role('pg_write_all_data'::pg_catalog.name, 'usage') as writes
  from pg_catalog.pg_roles as r
  where r.rolname = current_user
) as me
cross join lateral @acl(c.relacl, c.relowner) as x
where (c.relname >= 'alembic_version' and c.relname < 'alembic_versioo' or c.oid = any ($1))
  and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and c.relpersistence <> 't'
