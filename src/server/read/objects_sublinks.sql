select r.ev_class, r.ev_action::pg_catalog.text
from pg_catalog.pg_rewrite as r
where r.ev_class = any ($1)
  and r.ev_type = '1'
  and pg_catalog.strpos(r.ev_action::pg_catalog.text, ':hasSubLinks true') > 0
