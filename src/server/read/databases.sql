select
  d.oid, d.datname, d.datallowconn, d.datistemplate, pg_catalog.has_database_privilege(d.oid, 'connect')
from pg_catalog.pg_database as d
