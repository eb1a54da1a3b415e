select pg_catalog.string_agg(n.name, ' ')
from pg_catalog.unnest($1::pg_catalog.text[]) as n (name)
where pg_catalog.current_setting(n.name, true) is not null
