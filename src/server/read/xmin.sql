select x.xmin::pg_catalog.text
from pg_catalog.pg_namespace as x
where ($1)[1] = 'schema' and x.nspname = ($1)[2]
union all
select x.xmin::pg_catalog.text
from pg_catalog.pg_class as x
join pg_catalog.pg_namespace as n on n.oid = x.relnamespace
where ($1)[1] = 'relation' and n.nspname = ($1)[2] and x.relname = ($1)[3]
union all
select x.xmin::pg_catalog.text
from pg_catalog.pg_type as x
join pg_catalog.pg_namespace as n on n.oid = x.typnamespace
where ($1)[1] = 'type' and n.nspname = ($1)[2] and x.typname = ($1)[3]
union all
select x.xmin::pg_catalog.text
from pg_catalog.pg_attribute as x
join pg_catalog.pg_class as c on c.oid = x.attrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where ($1)[1] = 'column' and n.nspname = ($1)[2] and c.relname = ($1)[3] and x.attname = ($1)[4]
union all
select x.xmin::pg_catalog.text
from pg_catalog.pg_database as x
where ($1)[1] = 'database' and x.datname = pg_catalog.current_database()
union all
select x.xmin::pg_catalog.text
from pg_catalog.pg_auth_members as x
join pg_catalog.pg_roles as r on r.oid = x.roleid
join pg_catalog.pg_roles as m on m.oid = x.member
where ($1)[1] = 'membership' and r.rolname = ($1)[2] and m.rolname = ($1)[3]
union all
select x.xmin::pg_catalog.text
from pg_catalog.pg_db_role_setting as x
where ($1)[1] = 'setting'
  and x.setrole = coalesce((select r.oid from pg_catalog.pg_roles as r where r.rolname = ($1)[2]), 0)
  and x.setdatabase = coalesce((
    select d.oid
    from pg_catalog.pg_database as d
    where d.datname = pg_catalog.current_database() and ($1)[3] = 'here'
  ), 0)
union all
select x.xmin::pg_catalog.text
from pg_catalog.pg_default_acl as x
join pg_catalog.pg_roles as r on r.oid = x.defaclrole
where ($1)[1] = 'default' and r.rolname = ($1)[2] and x.defaclobjtype = ($1)[4]
  and x.defaclnamespace = coalesce((select n.oid from pg_catalog.pg_namespace as n where n.nspname = ($1)[3]), 0)
union all
select x.xmin::pg_catalog.text
from pg_catalog.pg_policy as x
join pg_catalog.pg_class as c on c.oid = x.polrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where ($1)[1] = 'policy' and n.nspname = ($1)[2] and c.relname = ($1)[3] and x.polname = ($1)[4]
union all
select x.xmin::pg_catalog.text
from pg_catalog.pg_constraint as x
join pg_catalog.pg_class as c on c.oid = x.conrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where ($1)[1] = 'constraint' and n.nspname = ($1)[2] and c.relname = ($1)[3] and x.conname = ($1)[4]
union all
select x.xmin::pg_catalog.text
from pg_catalog.pg_extension as x
where ($1)[1] = 'extension' and x.extname = ($1)[2]
