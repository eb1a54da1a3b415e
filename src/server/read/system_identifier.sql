select c.system_identifier::pg_catalog.text from pg_catalog.pg_control_system() as c
