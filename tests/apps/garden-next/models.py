from sqlalchemy import Column, Enum, ForeignKey, Integer, MetaData, String, Table, Text, text

metadata = MetaData()
mood = Enum("dry", "wet", "flooded", "frozen", name="mood")
Table("beds", metadata,
      Column("id", Integer, primary_key=True),
      Column("number", Integer, nullable=False, server_default=text("nextval('bed_number')")),
      Column("name", String(80), nullable=False, unique=True),
      Column("mood", mood, nullable=False, server_default="dry"),
      Column("notes", Text))
Table("plants", metadata,
      Column("id", Integer, primary_key=True),
      Column("bed_id", Integer, ForeignKey("beds.id"), nullable=False, index=True),
      Column("species", String(80), nullable=False, index=True))
Table("tools", metadata,
      Column("id", Integer, primary_key=True),
      Column("bed_id", Integer, ForeignKey("beds.id"), nullable=False),
      Column("fit_for", mood, nullable=False))
