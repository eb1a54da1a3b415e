"""notes, and one value more"""
import sqlalchemy as sa
from alembic import op

revision = "d4e5f6a7b8c9"
down_revision = "c3d4e5f6a7b8"


def upgrade():
    op.add_column("beds", sa.Column("notes", sa.Text))
    op.execute("UPDATE beds SET notes = 'number ' || nextval('bed_number'), mood = wetter(mood)")


def downgrade():
    op.drop_column("beds", "notes")
