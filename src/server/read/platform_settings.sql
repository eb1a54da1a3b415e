select pg_catalog.string_agg(s.name, ' ')
from pg_catalog.pg_settings as s
where s.name = any ($1)
