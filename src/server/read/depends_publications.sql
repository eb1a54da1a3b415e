select p.pubname
from pg_catalog.pg_publication_namespace as s
join pg_catalog.pg_publication as p on p.oid = s.pnpubid
where s.pnnspid = any ($1)
order by p.pubname
