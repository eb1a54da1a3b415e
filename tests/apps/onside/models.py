"""Its tables are made elsewhere: nothing is compared."""
metadata = None
