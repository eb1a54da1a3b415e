"""a view over both, and data"""
from alembic import op

revision = "c3d4e5f6a7b8"
down_revision = "b2c3d4e5f6a7"


def upgrade():
    op.execute("CREATE VIEW planted AS SELECT b.name, b.mood, p.species FROM beds b JOIN plants p ON p.bed_id = b.id")
    op.execute("INSERT INTO beds (name) VALUES ('north')")
    op.execute("INSERT INTO plants (bed_id, species) SELECT id, 'thyme' FROM beds")


def downgrade():
    op.execute("DROP VIEW planted")
    op.execute("DELETE FROM plants")
    op.execute("DELETE FROM beds")
