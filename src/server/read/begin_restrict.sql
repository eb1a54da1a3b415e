set local restrict_nonsystem_relation_kind = 'view, foreign-table';
