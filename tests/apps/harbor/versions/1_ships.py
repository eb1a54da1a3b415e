"""ships; the id is one that other projects have, too"""
import sqlalchemy as sa
from alembic import op

revision = "a1b2c3d4e5f6"
down_revision = None


def upgrade():
    op.create_table(
        "ships",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("flag", sa.String(2), nullable=False),
    )


def downgrade():
    op.drop_table("ships")
