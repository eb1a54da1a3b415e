"""plants, and a trigger"""
import sqlalchemy as sa
from alembic import op

revision = "b2c3d4e5f6a7"
down_revision = "a1b2c3d4e5f6"


def upgrade():
    op.create_table(
        "plants",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("bed_id", sa.Integer, sa.ForeignKey("beds.id"), nullable=False),
        sa.Column("species", sa.String(80), nullable=False),
    )
    op.create_index("ix_plants_bed_id", "plants", ["bed_id"])
    op.execute("CREATE FUNCTION watered() RETURNS trigger LANGUAGE plpgsql AS "
               "$$ BEGIN UPDATE beds SET mood = 'wet' WHERE id = new.bed_id; RETURN new; END $$")
    op.execute("CREATE TRIGGER watered AFTER INSERT ON plants FOR EACH ROW EXECUTE FUNCTION watered()")
    op.execute("CREATE FUNCTION wetter(m mood) RETURNS mood LANGUAGE sql IMMUTABLE AS "
               "$$ SELECT CASE m WHEN 'dry' THEN 'wet'::mood ELSE 'flooded'::mood END $$")


def downgrade():
    op.execute("DROP FUNCTION wetter(mood)")
    op.drop_table("plants")
    op.execute("DROP FUNCTION watered()")
