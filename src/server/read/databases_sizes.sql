select d.oid, pg_catalog.pg_database_size(d.oid)
from pg_catalog.pg_database as d
where pg_catalog.has_database_privilege(d.oid, 'connect')
  or pg_catalog.pg_has_role('pg_read_all_stats', 'usage')
