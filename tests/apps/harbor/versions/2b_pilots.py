"""the other branch"""
import sqlalchemy as sa
from alembic import op

revision = "v1.0.pilots"
down_revision = "a1b2c3d4e5f6"


def upgrade():
    op.create_table(
        "pilots", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(80), nullable=False)
    )
    op.add_column("ships", sa.Column("tons", sa.Integer))


def downgrade():
    op.drop_column("ships", "tons")
    op.drop_table("pilots")
