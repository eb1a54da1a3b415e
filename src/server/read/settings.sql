select s.setdatabase, s.setrole, s.setconfig
from pg_catalog.pg_db_role_setting as s
where s.setdatabase = 0
   or s.setdatabase = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
