from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, Text

metadata = MetaData()
# A name that another project has, too.
Table("beds", metadata,
      Column("id", Integer, primary_key=True),
      Column("description", Text),
      Column("trees", Integer))
Table("crates", metadata,
      Column("id", Integer, primary_key=True),
      Column("bed_id", Integer, ForeignKey("beds.id"), nullable=False),
      Column("fruit", String(40), nullable=False))
