"""longer names below a view, and another answer to watering"""
import sqlalchemy as sa
from alembic import op

revision = "f6a7b8c9d0e1"
down_revision = "e5f6a7b8c9d0"


def upgrade():
    op.execute("DROP VIEW planted")
    op.alter_column("beds", "name", type_=sa.String(80))
    op.execute("CREATE VIEW planted AS SELECT b.name, b.mood, p.species FROM beds b JOIN plants p ON p.bed_id = b.id")
    op.execute("CREATE OR REPLACE FUNCTION watered() RETURNS trigger LANGUAGE plpgsql AS "
               "$$ BEGIN UPDATE beds SET mood = wetter(mood) WHERE id = new.bed_id; RETURN new; END $$")
    op.execute("INSERT INTO plants (bed_id, species) SELECT id, 'sage' FROM beds")


def downgrade():
    op.execute("DELETE FROM plants WHERE species = 'sage'")
    op.execute("DROP VIEW planted")
    op.alter_column("beds", "name", type_=sa.String(40))
    op.execute("CREATE VIEW planted AS SELECT b.name, b.mood, p.species FROM beds b JOIN plants p ON p.bed_id = b.id")
