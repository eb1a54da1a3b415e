set local client_encoding = 'SQL_ASCII';
