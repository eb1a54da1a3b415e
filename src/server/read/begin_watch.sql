set local client_connection_check_interval = 2000;
