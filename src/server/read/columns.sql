select a.attname
from pg_catalog.pg_attribute as a
where a.attrelid = any ($1)
  and a.attnum > 0
  and not a.attisdropped
order by a.attnum
