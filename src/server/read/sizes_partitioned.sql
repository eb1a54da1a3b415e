select c.relnamespace, pg_catalog.count(*)
from pg_catalog.pg_class as c
where c.relnamespace = any ($1) and c.relkind = 'p'
group by c.relnamespace
