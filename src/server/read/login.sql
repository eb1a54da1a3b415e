select current_user::pg_catalog.text, pg_catalog.current_schema()::pg_catalog.text
