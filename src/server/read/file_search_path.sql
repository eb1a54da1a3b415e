select f.setting
from pg_catalog.pg_show_all_file_settings() as f
where f.name = 'search_path' and f.applied
order by f.seqno desc
limit 1
