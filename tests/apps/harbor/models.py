from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Integer, MetaData, String, Table

metadata = MetaData()
Table("ships", metadata,
      Column("id", BigInteger, Identity(always=True), primary_key=True),
      Column("flag", String(2), nullable=False),
      Column("tons", Integer))
Table("cargo", metadata,
      Column("id", Integer, primary_key=True),
      Column("ship_id", BigInteger, ForeignKey("ships.id"), nullable=False),
      Column("what", String(80), nullable=False))
Table("pilots", metadata, Column("id", Integer, primary_key=True), Column("name", String(80), nullable=False))
