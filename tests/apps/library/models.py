from sqlalchemy import Column, Integer, MetaData, String, Table, text

metadata = MetaData()
Table("books", metadata,
      Column("id", Integer, primary_key=True),
      Column("title", String(200), nullable=False),
      Column("shelf", Integer, server_default=text("nextval('shelf_number'::text::regclass)")))
